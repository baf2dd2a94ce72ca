public import CSystemCalls
internal import IOEngineCore
public import Synchronization

/// The two queues that the process shares with the kernel, and the one system call.
///
/// Ownership: the pointers lead into `memory`, which lives from `init` to `close`; the driver calls
/// each exactly once. One thread uses it.
///
/// The queues' counters run freely and wrap at 2^32: all arithmetic on them wraps.
@safe @usableFromInline
struct Ring: ~Copyable {
    let memory: RingMemory
    /// The thread that the ring's descriptor is registered with, and as what; nil: it is not.
    private let registration: (thread: Int, index: UInt32)?
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
    @usableFromInline var enterDescriptor: UInt32
    @usableFromInline var enterFlags: UInt32
    @usableFromInline let flags: UInt32
    let features: UInt32
    let completionCapacity: UInt32
    /// Whether the kernel finds entries through an array of indices (always before Linux 6.6).
    let hasIndexArray: Bool

    /// Where the next entry goes; published to the kernel by `publish`.
    @usableFromInline var tail: UInt32
    /// The next completion to look at.
    @usableFromInline var head: UInt32
    @usableFromInline var systemCalls: UInt64 = 0
    var overflows: UInt64 = 0

    /// Sets a ring up, or throws the errno.
    init(entries count: UInt32, parameters: inout URingParameters) throws(RingError) {
        let memory = try RingMemory(entries: count, &parameters)
        self.memory = memory
        func atomic(_ offset: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
            unsafe memory.counter(offset).assumingMemoryBound(to: Atomic<UInt32>.self)
        }
        let submission = parameters.submission
        let completion = parameters.completion
        unsafe submissionHead = atomic(submission.head)
        unsafe submissionTail = atomic(submission.tail)
        unsafe submissionFlags = atomic(submission.flags)
        unsafe entries = memory.entries.assumingMemoryBound(to: URingEntry.self)
        entryMask = unsafe atomic(submission.mask).pointee.load(ordering: .relaxed)
        entryCount = parameters.submissionEntries
        unsafe completionHead = atomic(completion.head)
        unsafe completionTail = atomic(completion.tail)
        unsafe completions = UnsafePointer(
            memory.counter(completion.entries).assumingMemoryBound(to: URingCompletion.self))
        completionMask = unsafe atomic(completion.mask).pointee.load(ordering: .relaxed)
        completionCapacity = parameters.completionEntries
        flags = parameters.flags
        features = parameters.features
        // Worth 5 to 10 % at depth 1; the plain number works as well.
        let index = Self.registerItself(memory)
        registration = index.map { (Self.currentThread, $0) }
        enterDescriptor = index ?? UInt32(bitPattern: memory.descriptor)
        enterFlags =
            (index != nil ? URingConstants.enterRegisteredRing : 0)
            | (features & URingConstants.featureNoIOWait != 0 ? URingConstants.enterNoIOWait : 0)
        tail = unsafe submissionTail.pointee.load(ordering: .relaxed)
        head = unsafe completionHead.pointee.load(ordering: .relaxed)
        hasIndexArray = parameters.flags & URingConstants.setUpNoIndexArray == 0
        guard hasIndexArray else { return }
        // Entry i is always at place i of the index array.
        let indices = unsafe memory.counter(submission.array)
            .assumingMemoryBound(to: UInt32.self)
        for i in 0..<entryCount { unsafe indices[Int(i)] = i }
    }

    /// Unmaps everything. The kernel cancels what is still in flight, but does not wait for it.
    mutating func close() {
        if let registration, registration.thread == Self.currentThread {
            unregisterItself(registration.index)
        }
        memory.close()
    }

    /// To be called before a ring is entered by what may be another thread than its own: what its
    /// descriptor is registered as, is another ring there, or none.
    mutating func leaveThread() {
        guard let registration, registration.thread != Self.currentThread else { return }
        enterDescriptor = UInt32(bitPattern: memory.descriptor)
        enterFlags &= ~URingConstants.enterRegisteredRing
    }

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
        var time = URingTime(
            seconds: timeout / 1_000_000_000, nanoseconds: timeout % 1_000_000_000)
        return unsafe withUnsafeMutablePointer(to: &time) { time in
            var argument = URingWaitArgument()
            argument.time = UInt64(UInt(bitPattern: time))
            argument.signalBytes = UInt32(Ring.signalSetSize)
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
