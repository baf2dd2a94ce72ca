internal import CLibURing
public import CSystemCalls
internal import IOEngineCore
public import Synchronization

/// The two queues that the process shares with the kernel, and the one system call.
///
/// Ownership: `ring` is liburing's description of the mappings; the other pointers lead into them.
/// All live from `open` to `close`, which the driver calls exactly once each. One thread uses it.
///
/// The queues' counters run freely and wrap at 2^32: all arithmetic on them wraps.
@safe @usableFromInline
struct Ring: ~Copyable {
    private let ring: UnsafeMutablePointer<io_uring>
    @usableFromInline let submissionHead: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let submissionTail: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let submissionFlags: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let entries: UnsafeMutablePointer<URingEntry>
    @usableFromInline let entryMask: UInt32
    @usableFromInline let entryCount: UInt32
    @usableFromInline let completionHead: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let completionTail: UnsafeMutablePointer<Atomic<UInt32>>
    @usableFromInline let completions: UnsafePointer<URingCompletion>
    @usableFromInline let completionMask: UInt32
    /// What every enter carries.
    @usableFromInline let enterDescriptor: UInt32
    @usableFromInline let enterFlags: UInt32
    @usableFromInline let flags: UInt32
    let features: UInt32
    let completionCapacity: UInt32

    /// Where the next entry goes; published to the kernel by `publish`.
    @usableFromInline var tail: UInt32
    /// The next completion to look at.
    @usableFromInline var head: UInt32
    @usableFromInline var systemCalls: UInt64 = 0
    var overflows: UInt64 = 0

    /// Sets a ring up, or throws the errno.
    init(entries count: UInt32, parameters: inout io_uring_params) throws(RingError) {
        let ring = UnsafeMutablePointer<io_uring>.allocate(capacity: 1)
        unsafe ring.initialize(to: io_uring())
        let code = unsafe io_uring_queue_init_params(count, ring, &parameters)
        guard code == 0 else {
            unsafe ring.deallocate()
            throw RingError(errno: -code)
        }
        // A forked child must not write into the parent's queues: it has no such mapping. What refuses
        // that leaves the loop's own look at the fork.
        _ = unsafe io_uring_ring_dontfork(ring)
        // Worth 5 to 10 % at depth 1; the plain number works as well.
        let isRegistered = unsafe io_uring_register_ring_fd(ring) == 1
        unsafe self.init(ring, isRegistered: isRegistered)
    }

    private init(_ ring: UnsafeMutablePointer<io_uring>, isRegistered: Bool) {
        unsafe self.ring = ring
        func atomic(_ counter: UnsafeMutablePointer<UInt32>) -> UnsafeMutablePointer<Atomic<UInt32>>
        {
            unsafe UnsafeMutableRawPointer(counter).assumingMemoryBound(to: Atomic<UInt32>.self)
        }
        let sq = unsafe ring.pointee.sq
        let cq = unsafe ring.pointee.cq
        unsafe submissionHead = atomic(sq.khead)
        unsafe submissionTail = atomic(sq.ktail)
        unsafe submissionFlags = atomic(sq.kflags)
        unsafe entries = UnsafeMutableRawPointer(sq.sqes.unsafelyUnwrapped).assumingMemoryBound(
            to: URingEntry.self)
        entryMask = unsafe sq.ring_mask
        entryCount = unsafe sq.ring_entries
        unsafe completionHead = atomic(cq.khead)
        unsafe completionTail = atomic(cq.ktail)
        unsafe completions = UnsafeRawPointer(cq.cqes.unsafelyUnwrapped).assumingMemoryBound(
            to: URingCompletion.self)
        completionMask = unsafe cq.ring_mask
        completionCapacity = unsafe cq.ring_entries
        flags = unsafe ring.pointee.flags
        features = unsafe ring.pointee.features
        enterDescriptor = unsafe UInt32(
            bitPattern: isRegistered ? ring.pointee.enter_ring_fd : ring.pointee.ring_fd)
        enterFlags =
            (isRegistered ? URingConstants.enterRegisteredRing : 0)
            | (features & URingConstants.featureNoIOWait != 0 ? URingConstants.enterNoIOWait : 0)
        tail = unsafe submissionTail.pointee.load(ordering: .relaxed)
        head = unsafe completionHead.pointee.load(ordering: .relaxed)
        // Entry i is always at place i of the index array.
        for i in 0..<entryCount { unsafe sq.array[Int(i)] = i }
    }

    /// Unmaps everything. The kernel cancels what is still in flight, but does not wait for it.
    mutating func close() {
        unsafe io_uring_queue_exit(ring)
        unsafe ring.deallocate()
    }

    /// For registering; the submission queue in it is not kept up to date.
    var description: UnsafeMutablePointer<io_uring> { unsafe ring }

    @inlinable var isPolled: Bool { flags & URingConstants.setUpSubmissionPolling != 0 }

    // MARK: Submission

    /// The next free entry, or nil when the queue is full. Its contents are old.
    @inlinable @inline(__always)
    mutating func nextEntry() -> UnsafeMutablePointer<URingEntry>? {
        // Acquire: with polling, the kernel's thread reads entries; pairs with its release of `head`.
        let taken = unsafe submissionHead.pointee.load(ordering: .acquiring)
        guard tail &- taken < entryCount else { return nil }
        let entry = unsafe entries + Int(tail & entryMask)
        tail &+= 1
        return unsafe entry
    }

    /// Hands all entries to the kernel; the next free one then.
    mutating func flushedEntry() -> UnsafeMutablePointer<URingEntry>? {
        _ = enter(minimum: 0, timeout: nil)
        if waitsForRoom, isFull { _ = waitForRoom() }
        return unsafe nextEntry()
    }

    /// Entries that the kernel has not taken.
    @inlinable @inline(__always)
    var unsubmitted: UInt32 {
        unsafe tail &- submissionHead.pointee.load(ordering: .acquiring)
    }

    var isFull: Bool { unsubmitted >= entryCount }

    /// Lets the kernel see all entries. Release: pairs with the kernel's acquire of the tail, which
    /// makes the entries' contents visible first.
    @inlinable @inline(__always)
    func publish() {
        unsafe submissionTail.pointee.store(tail, ordering: .releasing)
    }

    /// The same where nothing is special: no polling, no timeout.
    @inlinable @inline(__always)
    mutating func enterPlainly(submit: UInt32, minimum: UInt32) -> Int32 {
        publish()
        systemCalls &+= 1
        // Runs what is due while the kernel is entered anyway.
        let runsWork =
            minimum > 0 || flags & URingConstants.setUpDeferTaskRun != 0 || hasKernelWork
        return linux_io_uring_enter(
            enterDescriptor, submit, minimum,
            runsWork ? enterFlags | URingConstants.enterGetEvents : enterFlags, nil,
            UInt(Ring.signalSetSize))
    }

    /// Hands all entries to the kernel, waits for `minimum` completions, in one system call, or in
    /// none if nothing needs one.
    ///
    /// - Parameter timeout: Nanoseconds; nil: none.
    /// - Returns: Entries taken, or a negative errno.
    mutating func enter(minimum: UInt32, timeout: Int64?) -> Int32 {
        publish()
        var submit = unsubmitted
        var flags = enterFlags
        if isPolled {
            // Full fence: the tail is visible before the flag is read, so the kernel's thread either
            // sees the entries or its wish to be woken is seen here.
            atomicMemoryFence(ordering: .sequentiallyConsistent)
            submit = 0
            if unsafe submissionFlags.pointee.load(ordering: .relaxed)
                & URingConstants.queueNeedsWakeUp != 0
            {
                flags |= URingConstants.enterWakePolling
                submit = unsubmitted
            }
        }
        if minimum > 0 || hasKernelWork { flags |= URingConstants.enterGetEvents }
        if submit == 0, minimum == 0, flags == enterFlags { return 0 }
        if submit > 0, self.flags & URingConstants.setUpDeferTaskRun != 0 {
            // Runs what is due while the kernel is entered anyway.
            flags |= URingConstants.enterGetEvents
        }
        return call(submit: submit, minimum: minimum, flags: flags, timeout: timeout)
    }

    /// Waits for one completion without submitting anything.
    mutating func waitForOne(timeout: Int64?) -> Int32 {
        call(
            submit: 0, minimum: 1, flags: enterFlags | URingConstants.enterGetEvents,
            timeout: timeout)
    }

    /// With polling: waits until the kernel's thread has made room in the submission queue.
    mutating func waitForRoom() -> Int32 {
        call(
            submit: 0, minimum: 0, flags: enterFlags | URingConstants.enterWaitForRoom,
            timeout: nil)
    }

    var waitsForRoom: Bool { isPolled }

    /// Bytes of the kernel's signal set.
    @inlinable static var signalSetSize: Int { 8 }

    private mutating func call(
        submit: UInt32, minimum: UInt32, flags: UInt32, timeout: Int64?
    ) -> Int32 {
        systemCalls &+= 1
        guard let timeout else {
            return linux_io_uring_enter(
                enterDescriptor, submit, minimum, flags, nil, UInt(Ring.signalSetSize))
        }
        var time = __kernel_timespec(
            tv_sec: timeout / 1_000_000_000, tv_nsec: timeout % 1_000_000_000)
        return unsafe withUnsafeMutablePointer(to: &time) { time in
            var argument = io_uring_getevents_arg()
            argument.ts = UInt64(UInt(bitPattern: time))
            argument.sigmask_sz = UInt32(Ring.signalSetSize)
            return unsafe withUnsafeMutableBytes(of: &argument) { argument in
                unsafe linux_io_uring_enter(
                    enterDescriptor, submit, minimum,
                    flags | URingConstants.enterExtendedArgument, argument.baseAddress,
                    UInt(argument.count))
            }
        }
    }

    // MARK: Completion

    /// Completions that can be taken. Acquire: pairs with the kernel's release of the tail.
    @inlinable @inline(__always)
    var ready: UInt32 {
        unsafe completionTail.pointee.load(ordering: .acquiring) &- head
    }

    /// Whether the kernel holds completions back until it is entered: task work, or an overflow.
    @inlinable @inline(__always)
    var hasKernelWork: Bool {
        unsafe submissionFlags.pointee.load(ordering: .relaxed)
            & (URingConstants.queueHasTaskWork | URingConstants.queueOverflown) != 0
    }

    @inlinable @inline(__always)
    var hasOverflown: Bool {
        unsafe submissionFlags.pointee.load(ordering: .relaxed) & URingConstants.queueOverflown != 0
    }

    /// The completion `index` places behind the first; `index` is below `ready`.
    @inlinable @inline(__always)
    func completion(_ index: UInt32) -> UnsafePointer<URingCompletion> {
        unsafe completions + Int((head &+ index) & completionMask)
    }

    /// Gives the places of `count` completions back. Release: they have been read before.
    @inlinable @inline(__always)
    mutating func advance(_ count: UInt32) {
        head &+= count
        unsafe completionHead.pointee.store(head, ordering: .releasing)
    }
}

/// A set-up that the kernel refused.
struct RingError: Error {
    /// Positive.
    var errno: Int32
}
