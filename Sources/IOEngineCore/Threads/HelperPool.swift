internal import Glibc
internal import Synchronization

/// Threads that do requests which may block, so that a loop's thread need not.
///
/// One owner, a driver on its loop's thread, puts requests in and takes completions out. Helpers start
/// on demand, up to a limit, and end when there was nothing to do for a while; with nothing to do there
/// are none, and nothing ticks.
///
/// A helper whose request was asked to stop and does not (a frozen file system, a dead server) is
/// *stuck*: it does not count towards the limit, so that other requests go on. There are at most
/// ``stuckLimit`` of those; beyond it the pool waits for one of them.
///
/// A request is in exactly one place: staged by the owner, queued, with a helper, or finished. Tables go
/// by the slot of its token. Who waits for whom: the owner waits for helpers, helpers wait for the
/// kernel and for requests, nobody waits for the owner; the lock is never held across a system call
/// other than waking a thread.
@safe
package final class HelperPool: @unchecked Sendable {
    // Unchecked: what changes is guarded by `lock`, but for `staged`, `hasRoom` and `outstanding`,
    // which only the owner touches, and each entry's request, which belongs to whoever has the
    // request.

    /// Where a request is.
    enum Place: UInt8 {
        case none, staged, queued, running, finished
    }

    struct Entry {
        var request = unsafe IORequest(token: IOToken(rawValue: .max), action: .noOperation)
        var result = 0
        var place = Place.none
        /// Whether its helper counts as stuck.
        var isStuck = false
        /// Grows from one queued request to the next.
        var number: UInt64 = 0
        /// The neighbours in the list that the request is in, by slot; -1: none.
        var next: Int32 = -1
        var previous: Int32 = -1
    }

    let lock = ThreadLock()
    /// Helpers wait here for requests.
    let work = ThreadCondition()
    /// The owner waits here for completions.
    let news = ThreadCondition()
    /// By slot.
    let entries: UnsafeMutablePointer<Entry>
    let depth: Int
    /// Helpers at most.
    let limit: Int
    let name: String
    let idleTime: Duration
    /// Does a request.
    let perform: @Sendable (IORequest) -> Int
    /// Wakes an owner that waits elsewhere; nil: it waits here, or is gone.
    var notify: (@Sendable () -> Void)?

    /// The owner's, not handed over yet.
    var staged = SlotList()
    /// The owner's: a helper was found to be stuck since the last ``start()``.
    var hasRoom = false
    /// Requests that the owner put in and whose completion it did not take out.
    package internal(set) var outstanding = 0

    var queue = HelperQueue()
    var finished = SlotList()
    /// As `finished.count`, to be looked at without the lock.
    let finishedCount = Atomic<Int>(0)
    var running = 0
    /// Helpers started and not ended, and those of them that wait for a request.
    var helpers = 0
    var idle = 0
    /// Helpers whose request was asked to stop.
    var stuck = 0
    /// Completions for which the owner sleeps; 0: it does not.
    var awaited = 0
    /// A wake-up that no wait has told of. Set under the lock only, so that no sleeper misses it.
    let isWoken = Atomic<Bool>(false)
    var isClosed = false
    /// Counts requests that helpers finished and helpers that ended.
    var progress = 0
    private let process = getpid()

    /// - Parameters:
    ///   - depth: Requests at most; slots are below it.
    ///   - limit: Helpers at most; at least 1.
    ///   - name: Of the threads, at most 15 bytes.
    ///   - idleTime: How long a helper without work stays.
    ///   - notify: Called on a helper's thread when the completions came that
    ///     ``willSleep(for:)`` announced to wait for. Nil: the owner calls ``wait(for:until:)``.
    ///   - perform: Does a request, on a helper's thread.
    package init(
        depth: Int, limit: Int, name: String, idleTime: Duration,
        notify: (@Sendable () -> Void)? = nil,
        perform: @escaping @Sendable (IORequest) -> Int = { $0.perform() }
    ) {
        precondition(depth >= 1 && limit >= 1, "a pool has room for a request and a helper")
        self.depth = depth
        self.limit = limit
        self.name = name
        self.idleTime = idleTime
        self.perform = perform
        self.notify = notify
        unsafe entries = .allocate(capacity: depth)
        unsafe entries.initialize(repeating: Entry(), count: depth)
    }

    /// Nobody has it any more: neither owner nor helper nor waker.
    deinit { unsafe entries.deallocate() }

    /// In a forked child, where no helper lives and the lock may be held for ever.
    var isForked: Bool { process != getpid() }

    /// Helpers alive at this moment.
    package var helperCount: Int {
        lock.lock()
        defer { lock.unlock() }
        return helpers
    }

    /// Helpers at this moment whose request was asked to stop and has not ended.
    package var stuckCount: Int {
        lock.lock()
        defer { lock.unlock() }
        return stuck
    }

    /// Stuck helpers at most that do not count towards the limit.
    package static var stuckLimit: Int { 256 }

    /// With the lock: whether one more helper may be started.
    var mayStart: Bool { helpers - stuck < limit }

    /// What suits most machines: enough requests to keep a device busy.
    package static var defaultLimit: Int {
        min(64, max(8, 4 * sysconf(Int32(_SC_NPROCESSORS_ONLN))))
    }
}

/// A list of slots, linked through the pool's entries.
struct SlotList {
    var first: Int32 = -1
    var last: Int32 = -1
    var count = 0
    var isEmpty: Bool { count == 0 }
}

extension HelperPool {
    /// Puts a slot at the end of a list.
    func append(_ slot: Int32, to list: inout SlotList, as place: Place) {
        let entry = unsafe entries + Int(slot)
        unsafe entry.pointee.place = place
        unsafe entry.pointee.next = -1
        unsafe entry.pointee.previous = list.last
        if list.last >= 0 {
            unsafe entries[Int(list.last)].next = slot
        } else {
            list.first = slot
        }
        list.last = slot
        list.count += 1
    }

    /// Takes a slot out, wherever in the list it is.
    func remove(_ slot: Int32, from list: inout SlotList) {
        let (next, previous) = unsafe (entries[Int(slot)].next, entries[Int(slot)].previous)
        if previous >= 0 {
            unsafe entries[Int(previous)].next = next
        } else {
            list.first = next
        }
        if next >= 0 {
            unsafe entries[Int(next)].previous = previous
        } else {
            list.last = previous
        }
        list.count -= 1
    }
}
