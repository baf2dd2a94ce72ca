/// What a loop counts. Plain numbers, never reset; take the difference of two for an interval.
@frozen
public struct IOStatistics: Equatable, Sendable {
    /// Events accepted.
    public var submitted: UInt64 = 0
    /// Events handed over: through a callback or ``IOLoop/next()``.
    public var completed: UInt64 = 0
    /// Of these, failures.
    public var failed: UInt64 = 0
    public var bytesRead: UInt64 = 0
    public var bytesWritten: UInt64 = 0
    /// Short transfers that were continued, and parts after the first of events too large for one
    /// request.
    public var continuations: UInt64 = 0
    /// Short transfers as the driver reported them, the end of a file included.
    public var shortTransfers: UInt64 = 0
    /// Requests sent again after EINTR or EAGAIN.
    public var retries: UInt64 = 0
    /// Completions that belonged to no request in flight, and were dropped.
    public var staleCompletions: UInt64 = 0
    /// How often the driver had no room for a request.
    public var fullQueues: UInt64 = 0
    /// Events that were asked to stop, by a cancellation or their deadline.
    public var stopped: UInt64 = 0
    /// Of these, by their deadline.
    public var deadlinesPassed: UInt64 = 0
    /// Events handed over without their memory, because their request did not settle.
    public var abandoned: UInt64 = 0
    /// Requests of abandoned events that have settled since.
    public var settledLate: UInt64 = 0
    /// Of these, settlements that were dropped because nobody took those before them: a loop keeps
    /// as many as its depth.
    public var droppedSettlements: UInt64 = 0
    /// Syncs that had to wait for writes before them.
    public var syncsHeld: UInt64 = 0
    /// The most events in flight at once.
    public var largestInFlight: Int = 0
    /// System calls the driver made.
    public var systemCalls: UInt64 = 0
    /// The longest a callback took, in nanoseconds; 0 unless latencies are recorded.
    public var longestCallbackNanoseconds: Int64 = 0

    @usableFromInline init() {}
}
