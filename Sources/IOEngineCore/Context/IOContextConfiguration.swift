/// How a context is set up. The defaults suit a program that submits from several threads.
public struct IOContextConfiguration: Sendable {
    /// Of the thread, for `ps -L` and debuggers; cut to 15 bytes.
    public var name = "io-loop"
    /// Events that wait for a slot at most, before submitters do; rounded up to a power of two.
    public var queueCapacity = 256
    /// Where callbacks run; nil: inline, on the loop's own thread, which costs nothing but stalls that
    /// loop's IO and deadlines for as long as a callback takes.
    public var workers: IOWorkers?
    /// Bytes in flight at most, over all transfers; an event above it runs alone. Bytes of events
    /// that were given up count until their requests settle; an event that does not fit beside them
    /// runs alone among the others.
    public var maximumBytesInFlight = Int.max
    /// Processors on which the thread may run; empty: all.
    public var processors: [Int] = []
    /// How long an idle loop looks at its queue before it goes to sleep, at most; it adapts downwards.
    /// About 25 us doubles the rate of submitters on other threads. Zero: sleeps at once.
    public var idleSpin = Duration.microseconds(25)
    /// Keep a histogram of latencies; costs two looks at the clock an event.
    public var recordsLatencies = false

    public init() {}
}
