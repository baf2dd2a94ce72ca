public import IOEngineCore

/// Decides how often a job looks at the clock.
///
/// 64 waits between two looks make the clock free where an IO takes a microsecond. On a slow device
/// they would overrun the time by many IOs, so there it looks more often.
public struct BenchClock {
    public let start: IOInstant
    /// How many waits until the next look.
    public private(set) var waits = 64
    private var last: IOInstant
    private let end: IOInstant

    public init(seconds: Double) {
        start = .monotonic()
        last = start
        end = start.advanced(by: .seconds(seconds))
    }

    /// Looks. False: the time is over.
    @usableFromInline
    mutating func goesOn() -> Bool {
        let now = IOInstant.monotonic()
        let step = now.nanoseconds(since: last)
        last = now
        if step > 50_000_000 { waits = max(1, waits / 2) }
        if step < 10_000_000 { waits = min(64, waits * 2) }
        return now < end
    }

    /// Nanoseconds from the start to the last look.
    @usableFromInline var elapsed: Int64 { max(1, last.nanoseconds(since: start)) }
}
