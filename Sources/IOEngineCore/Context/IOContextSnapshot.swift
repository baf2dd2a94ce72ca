internal import DequeModule
internal import Synchronization

/// What a context is doing: for people and for watchdogs.
public struct IOContextSnapshot: Sendable, CustomStringConvertible {
    /// What an accepted event is waiting for.
    public enum State: String, Sendable {
        /// For another event: a sync for writes, a member of a chain, an append for its turn.
        case held
        /// For room at the driver.
        case waiting
        /// For the kernel.
        case inFlight
        /// For the kernel, which was asked to stop it.
        case stopping
        /// For its callback.
        case finished
        /// For the kernel; its callback was called without its memory.
        case abandoned
    }

    /// An event that the loop has.
    public struct Request: Sendable, CustomStringConvertible {
        public let action: IOAction
        /// The descriptor's number, -1 for none.
        public let descriptor: Int32
        /// Bytes from the start of the file.
        public let offset: Int64
        /// Bytes in all, and of these moved.
        public let length: Int
        public let transferred: Int
        public let state: State
        /// Since the loop accepted it; exact to one cycle of the loop.
        public let age: Duration

        public var description: String {
            "\(action) of \(length) bytes at \(offset) on descriptor \(descriptor), "
                + "\(transferred) moved, \(state.rawValue) for \(age)"
        }
    }

    /// False: the loop did not answer in time, because a callback keeps it busy. `queued`, `inFlight`,
    /// `isSleeping`, `sinceLastCycle` and `wakeUps` are current then; everything else is as the loop last
    /// published it, `statistics` not more than 10 ms before it became busy.
    public internal(set) var isResponsive = false
    /// The context has ended: the numbers are its last and stay.
    public internal(set) var hasEnded = false
    /// Since the loop last went around: when it does not sleep, how long its callbacks have kept it.
    public internal(set) var sinceLastCycle = Duration.zero
    /// Whether the loop sleeps because there is nothing to do or the kernel works.
    public internal(set) var isSleeping = false
    /// Events accepted that have no slot yet.
    public internal(set) var queued = 0
    /// Events that have a slot and were not handed over.
    public internal(set) var inFlight = 0
    /// Events whose callbacks have not returned on the workers.
    public internal(set) var atWorkers = 0
    /// Requests of events that were given up, still with the kernel.
    public internal(set) var unsettled = 0
    /// Bytes of these; counted only where a bound was given.
    public internal(set) var unsettledBytes = 0
    /// Bytes of transfers in flight, those of `unsettledBytes` included; counted only where a bound
    /// was given.
    public internal(set) var bytesInFlight = 0
    /// The event that the loop has had for longest, abandoned ones included.
    public internal(set) var oldest: Request?
    public internal(set) var statistics = IOStatistics()
    /// If they are recorded.
    public internal(set) var latencies: IOLatencies?
    /// How often a submission from another thread had to wake the loop.
    public internal(set) var wakeUps: UInt64 = 0

    init() {}

    public var description: String {
        let how =
            if hasEnded {
                "ended"
            } else if isResponsive {
                isSleeping ? "sleeping" : "working"
            } else {
                "busy for \(sinceLastCycle)"
            }
        return "\(how): \(queued) queued, \(inFlight) in flight, \(atWorkers) at workers, "
            + "\(unsettled) unsettled"
            + (oldest.map { "; oldest: \($0)" } ?? "")
    }
}

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// The event that has its slot for longest; only where submission times are kept.
    func oldestRequest() -> IOContextSnapshot.Request? {
        guard let times = unsafe submissionTimes else { return nil }
        var oldest: UInt32?
        for number in 0..<UInt32(depth)
        where unsafe slots.slot(number).pointee.machine.state != .vacant {
            if unsafe oldest == nil || times[Int(number)] < times[Int(oldest ?? 0)] {
                oldest = number
            }
        }
        guard let oldest else { return nil }
        let slot = unsafe slots.slot(oldest)
        let event = unsafe slots.event(oldest)
        let state: IOContextSnapshot.State =
            switch unsafe slot.pointee.machine.state {
            case .held: .held
            case .waiting, .vacant: .waiting
            case .inFlight:
                unsafe slot.pointee.machine.traits.contains(.stopping) ? .stopping : .inFlight
            case .finished: .finished
            case .abandoned: .abandoned
            }
        return unsafe IOContextSnapshot.Request(
            action: event.pointee.action, descriptor: event.pointee.descriptor,
            offset: event.pointee.offset, length: event.pointee.length,
            transferred: event.pointee.transferred, state: state,
            age: .nanoseconds(max(0, driver.now().nanoseconds - times[Int(oldest)])))
    }
}
