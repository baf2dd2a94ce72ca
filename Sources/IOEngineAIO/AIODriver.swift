internal import Glibc
public import IOEngineCore
internal import SystemPackage

/// The driver over Linux AIO: almost as fast as io_uring for direct IO, and allowed where
/// containers and sysctls forbid that.
///
/// Direct IO and syncs are asynchronous in the kernel, in batches, and their completions are taken from
/// memory that the kernel maps, without a system call. What would block inside `io_submit` does not go
/// there: reads of up to 128 KiB through the page cache are tried with RWF_NOWAIT on the caller's thread,
/// direct writes with RWF_NOWAIT in the kernel, and what would have to wait (cold reads, writes past the
/// end of the file or into holes) goes to a few helper threads, as do all other writes through the
/// page cache and allocates. ``capabilities`` says what may still block.
///
/// Dropped with requests in flight, it waits until the kernel is done with their memory. The context
/// itself, whose end takes milliseconds, ends on a thread of its own.
@safe
public struct AIODriver: IODriver, ~Copyable {
    // Ownership: all pointers are allocated in `init` and freed in `deinit`. The kernel copies entries
    // when they are submitted; it writes to their `key` then, and to nothing else of this.

    @usableFromInline var context: AIOContext
    @usableFromInline let depth: Int
    /// The entry of each slot, and behind them the one that listens for wake-ups. `data` is the token of
    /// the request while it is staged for the kernel or there.
    @usableFromInline let entries: UnsafeMutablePointer<AIOEntry>
    /// Entries that the kernel has not taken, the first `batchCount`.
    @usableFromInline let batch: UnsafeMutablePointer<UnsafeMutablePointer<AIOEntry>?>
    @usableFromInline var batchCount = 0
    /// Where `io_getevents` puts events; as many as there are entries.
    let scratch: UnsafeMutablePointer<AIOEvent>
    /// By slot: the request that is with the kernel on trial, with RWF_NOWAIT that is not its own.
    let trials: UnsafeMutablePointer<IORequest>
    @usableFromInline var trialCount = 0
    /// Requests that the kernel took and whose event was not taken.
    @usableFromInline var inKernel = 0

    /// To be tried on this thread at the next `submit`.
    @usableFromInline var attempts: RequestList
    /// Completions that did not stay in the ring.
    @usableFromInline var finished: CompletionQueue
    let pool: HelperPool
    /// Requests that the pool has, and whether some of them wait for `startHops`.
    @usableFromInline var hopping = 0
    var hasStagedHops = false
    @usableFromInline let wakeUp: WakeUpDescriptor
    /// The entry that listens is staged or with the kernel.
    @usableFromInline var isListening = false
    /// A wake-up was taken that has not ended a wait: the next one ends at once.
    @usableFromInline var wasWoken = false
    /// What a `submit` has to look after beside a batch for the kernel.
    @usableFromInline var attention: Attention = []
    /// Requests staged and not yet reaped.
    @usableFromInline var inFlight = 0
    var systemCalls: UInt64 = 0
    private let process = getpid()
    private let setUp: String

    /// Sets a context up.
    ///
    /// - Parameters:
    ///   - depth: Requests in flight at most: 1 to 65,536.
    ///   - configuration: What to ask the kernel for.
    ///
    /// Throws EINVAL for a depth or a setting out of range, EAGAIN where the sysctl fs.aio-max-nr leaves
    /// no room even for a single request, and ENOSYS or EPERM where AIO is not to be had; the
    /// advice names the setting.
    public init(depth: Int, configuration: AIOConfiguration = .init()) throws(IOError) {
        let largest = Int(IOToken.largestSlot) + 1
        try Self.check(depth, 1...largest, "a queue depth")
        try Self.check(configuration.contextSize ?? 1, 1...largest, "a context size")
        let threads = configuration.helperThreads ?? min(depth, HelperPool.defaultLimit)
        try Self.check(threads, 1...4096, "a number of helper threads")
        let wakeUp = try WakeUpDescriptor(waits: false)
        var ladder = ContextLadder(depth: depth, configuration: configuration, wakeUp: wakeUp)
        context = try ladder.climb()
        self.depth = depth
        self.wakeUp = wakeUp
        // An entry fills a cache line: let it be one, not parts of two, for the kernel copies each.
        unsafe entries = UnsafeMutableRawPointer.allocate(
            byteCount: (depth + 1) * MemoryLayout<AIOEntry>.stride, alignment: 64
        ).bindMemory(to: AIOEntry.self, capacity: depth + 1)
        unsafe entries.initialize(repeating: AIOEntry(.read), count: depth + 1)
        unsafe batch = .allocate(capacity: depth + 1)
        unsafe batch.initialize(repeating: nil, count: depth + 1)
        unsafe scratch = .allocate(capacity: depth + 1)
        unsafe scratch.initialize(repeating: AIOEvent(), count: depth + 1)
        unsafe trials = .allocate(capacity: depth)
        unsafe trials.initialize(repeating: Self.noTrial, count: depth)
        attempts = RequestList(capacity: depth)
        finished = CompletionQueue(capacity: depth)
        pool = HelperPool(
            depth: depth, limit: threads, name: "ioengine-aio", idleTime: configuration.idleTime
        ) { wakeUp.notify() }
        setUp =
            ladder.report + "; at most \(threads) helper threads, not counting stuck ones, of "
            + "which there may be \(HelperPool.stuckLimit)"
    }

    private static func check(
        _ value: Int, _ range: ClosedRange<Int>, _ what: String
    ) throws(IOError) {
        if range.contains(value) { return }
        throw IOError(
            operation: .setUp, errno: .invalidArgument,
            advice: "\(what) of \(value) is out of range; use \(range.lowerBound) to "
                + "\(range.upperBound)")
    }

    /// Rare states of the wake-up's entry.
    @frozen @usableFromInline
    struct Attention: OptionSet, Sendable {
        @usableFromInline let rawValue: UInt8
        @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }
        /// The first entry of the batch is the one that listens.
        @inlinable static var startsListening: Self { Self(rawValue: 1) }
        /// Somebody was listened to, and nobody is any more.
        @inlinable static var stoppedListening: Self { Self(rawValue: 2) }
    }

    static let noTrial = unsafe IORequest(token: IOToken(rawValue: .max), action: .noOperation)

    deinit {
        // In a forked child the context is the parent's, and so is the ring.
        if process == getpid() {
            let hasEnded = pool.close()
            var context = self.context
            let left = unsafe AIODriver.settle(
                &context, inKernel: inKernel, scratch, room: depth + 1)
            unsafe ContextGrave.shared.bury(context.handle, isIdle: left == 0 && hasEnded)
        }
        unsafe UnsafeMutableRawPointer(entries).deallocate()
        unsafe batch.deallocate()
        unsafe scratch.deallocate()
        unsafe trials.deallocate()
    }

    public var capabilities: IOCapabilities {
        IOCapabilities(
            name: "aio", depth: depth, maximumVectors: IOVector.maximumCount,
            makesSystemCalls: true,
            mayBlockCaller: [
                "a direct write while its file system is frozen",
                "direct IO while the device's own queue is full",
                "a direct read whose place on the device has to be read from there first",
                "direct IO on file systems that send it through the page cache",
                "on tmpfs, up to 128 KiB at pages that were swapped out",
            ],
            setUp: setUp)
    }

    public var counters: IODriverCounters {
        var counters = IODriverCounters()
        counters.systemCalls = systemCalls &+ context.systemCalls
        counters.stuckThreads = UInt64(pool.stuckCount)
        return counters
    }

    public var waker: IOWaker { wakeUp.waker }

    public func coarseNow() -> IOInstant { .coarseMonotonic() }

    /// Helper threads alive at this moment. For reports; takes a lock.
    public var helperThreadCount: Int { pool.helperCount }
}
