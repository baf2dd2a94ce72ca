internal import IOEngineCore

/// How long a request takes, drawn anew for each.
public struct SimulatedLatency: Hashable, Sendable {
    /// What every request takes, in nanoseconds.
    public var minimum: Int64
    /// What is added on average, exponentially distributed, in nanoseconds.
    public var mean: Int64
    /// One request in so many belongs to the long tail; 0: none.
    public var tailOneIn: Int
    /// How many times as long a request of the tail takes.
    public var tailFactor: Int64

    /// Nothing takes any time: requests complete when they are submitted.
    public static var none: Self { fixed(.zero) }

    /// All take the same.
    public static func fixed(_ duration: Duration) -> Self {
        Self(minimum: nanoseconds(duration), mean: 0, tailOneIn: 0, tailFactor: 1)
    }

    /// A minimum, and on top of it an exponential distribution with a mean.
    public static func exponential(minimum: Duration, mean: Duration) -> Self {
        Self(
            minimum: nanoseconds(minimum), mean: nanoseconds(mean), tailOneIn: 0, tailFactor: 1)
    }

    /// The same, but one request in `oneIn` takes `factor` times as long.
    public static func longTail(
        minimum: Duration, mean: Duration, oneIn: Int, factor: Int64
    ) -> Self {
        Self(
            minimum: nanoseconds(minimum), mean: nanoseconds(mean), tailOneIn: max(0, oneIn),
            tailFactor: max(1, factor))
    }

    /// Nanoseconds, at most a quarter of what a clock holds, so that adding two never overflows.
    func draw(_ random: inout SimulationRandom) -> Int64 {
        var time = minimum.addingReportingOverflow(random.exponential(mean: mean))
        if tailOneIn > 0, random.isOne(in: tailOneIn) {
            time = time.partialValue.multipliedReportingOverflow(by: tailFactor)
        }
        return time.overflow ? Self.longest : min(max(0, time.partialValue), Self.longest)
    }

    private static var longest: Int64 { .max / 4 }

    static func nanoseconds(_ duration: Duration) -> Int64 {
        let end = IOInstant(nanoseconds: 0).advanced(by: duration)
        return min(max(0, end.nanoseconds), longest)
    }
}
