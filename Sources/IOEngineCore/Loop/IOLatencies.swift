public import Histogram

/// How long events took from submission to hand-over: a high dynamic range histogram of nanoseconds,
/// two significant digits, up to an hour. Recording allocates nothing.
public struct IOLatencies: Sendable {
    @usableFromInline var histogram = Histogram<UInt64>(
        lowestDiscernibleValue: 1, highestTrackableValue: Self.largest,
        numberOfSignificantValueDigits: .two)

    /// One hour; anything longer counts as this.
    @usableFromInline static let largest: UInt64 = 3_600_000_000_000

    public init() {}

    @usableFromInline
    mutating func record(nanoseconds: Int64) {
        histogram.record(min(UInt64(Swift.max(0, nanoseconds)), Self.largest))
    }

    /// Events recorded.
    public var count: UInt64 { histogram.totalCount }
    /// All in nanoseconds; 0 if nothing was recorded.
    public var mean: Double { count == 0 ? 0 : histogram.mean }
    public var max: UInt64 { count == 0 ? 0 : histogram.max }

    /// The latency that `percent` of the events did not exceed, in nanoseconds.
    public func percentile(_ percent: Double) -> UInt64 {
        count == 0 ? 0 : histogram.valueAtPercentile(percent)
    }

    /// Adds what another loop recorded.
    public mutating func add(_ other: IOLatencies) { histogram.add(other.histogram) }
}
