internal import Glibc
public import IOEngineCore
public import Synchronization
internal import SystemPackage

/// The driver over io_uring.
///
/// Submits and waits in one system call; wakes up through an eventfd that the ring itself reads.
/// Which set-up the kernel granted is found by doing: a ring is made with the final flags and one real
/// read goes through it. ``capabilities`` has a description of the outcome.
///
/// Where a file system answers EAGAIN or EOPNOTSUPP to direct IO from another thread, as FUSE does when
/// its server says so, the kernel repeats the request by itself and tells nobody (seen on Linux 6.18):
/// what the server puts off for ever ends only when it is cancelled, so give such IO a deadline.
///
/// Create it on the thread that will use it: with single issuer, no other thread may enter the ring.
/// Dropped with requests in flight, it cancels them and waits until the kernel is done with their
/// memory.
@safe
public struct URingDriver: IODriver, ~Copyable {
    @usableFromInline var ring: Ring
    @usableFromInline let depth: Int
    @usableFromInline let wakeUp: WakeUpDescriptor
    /// Where the ring's own read of the eventfd puts the counter: not 0 while there is a wake-up
    /// that no wait has told of. The kernel writes before it posts the completion, and once for
    /// each time that this driver listens, which it does only after the completion was reaped. The
    /// ring may write to it for as long as it lives.
    @usableFromInline let wakeUpCounter: UnsafeMutablePointer<Atomic<UInt64>>
    @usableFromInline var isListening = false
    /// Requests staged or with the kernel, not yet reaped.
    @usableFromInline var inFlight = 0
    /// Cancellations whose own completion was not reaped.
    @usableFromInline var cancellations = 0
    /// Requests that the kernel did not find when it was asked to cancel them.
    @usableFromInline var missed = MissedCancellations()
    /// The request of each slot that was last asked to stop: asking twice takes no place twice.
    var cancelled: [UInt64]
    var registeredDescriptors: DescriptorPlaces
    var hasRegisteredMemory = false
    let setUp: String
    /// The most kernel workers, as far as the kernel says.
    let kernelWorkers: URingConfiguration.KernelWorkers
    private let process = getpid()

    /// Sets a ring up.
    ///
    /// - Parameters:
    ///   - depth: Requests in flight at most: 1 to 32,768.
    ///   - configuration: What to ask the kernel for.
    ///
    /// Throws EINVAL for a depth out of range, ENOSYS or EPERM where io_uring is not to be had, and
    /// ENOMEM where RLIMIT_MEMLOCK or memory is too small; the advice names the setting.
    public init(depth: Int, configuration: URingConfiguration = .init()) throws(IOError) {
        guard depth >= 1, depth <= URingDriver.maximumDepth else {
            throw IOError(
                operation: .setUp, errno: .invalidArgument,
                advice: "a queue depth of \(depth) is out of range; "
                    + "use 1 to \(URingDriver.maximumDepth), which is what io_uring has")
        }
        let wakeUp = try WakeUpDescriptor(waits: true)
        var ladder = SetUpLadder(depth: depth, configuration: configuration, wakeUp: wakeUp)
        ring = try ladder.climb()
        self.depth = depth
        self.wakeUp = wakeUp
        cancelled = Array(repeating: .max, count: depth)
        unsafe wakeUpCounter = .allocate(capacity: 1)
        unsafe wakeUpCounter.initialize(to: Atomic(0))
        let places = ladder.reservePlaces(in: ring, configuration.registeredDescriptors)
        registeredDescriptors = DescriptorPlaces(count: places)
        kernelWorkers = ladder.limitWorkers(of: ring, configuration.kernelWorkers)
        setUp = ladder.report
    }

    deinit {
        // In a forked child the ring is the parent's, and its memory is not mapped.
        guard process == getpid() else { return }
        // The kernel may write to the memory of what is in flight: cancel and wait for it.
        var ring = self.ring
        let wakeUpCounter = unsafe self.wakeUpCounter
        // Ends the entry that listens also where kernels cannot cancel everything (before 5.19).
        if isListening { wakeUp.post() }
        ring.leaveThread()
        let outstanding =
            inFlight + cancellations + (isListening ? 1 : 0) + (missed.isTimerSet ? 1 : 0)
        let settled = URingDriver.settle(&ring, outstanding: outstanding)
        ring.close()
        // What did not settle within the bound may still be written to: leaked on purpose.
        if settled {
            unsafe wakeUpCounter.deallocate()
            missed.deallocate()
        }
    }

    /// IORING_MAX_ENTRIES.
    static let maximumDepth = 32_768
    /// IORING_MAX_CQ_ENTRIES.
    static let maximumCompletions: UInt32 = 65_536
    /// Places of the completion queue beside those of requests and cancellations.
    static let internalEntries = 8

    public var capabilities: IOCapabilities {
        IOCapabilities(
            name: "uring", depth: depth, maximumVectors: IOVector.maximumCount,
            registersMemory: true, registersDescriptors: registeredDescriptors.count > 0,
            setUp: setUp)
    }

    public var counters: IODriverCounters {
        var counters = IODriverCounters()
        counters.systemCalls = ring.systemCalls
        counters.overflows = ring.overflows
        return counters
    }

    public var waker: IOWaker { wakeUp.waker }

    public func coarseNow() -> IOInstant { .coarseMonotonic() }
}
