internal import IOEngineCore

/// How far a copy is, for a live line.
public struct CopyProgress: Equatable, Sendable {
    public enum Phase: Equatable, Sendable {
        case copying
        /// Everything is written, and being made durable.
        case syncing
    }

    public var phase: Phase
    /// Bytes of data that are written.
    public var bytesDone: Int64
    /// Bytes of data; holes do not count.
    public var bytesTotal: Int64
    /// Of late.
    public var bytesPerSecond: Double
    /// Nil: nobody can know.
    public var secondsLeft: Double?
}

/// Makes progress out of looks at a counter. Pure.
struct CopyMeter: Sendable {
    let total: Int64
    private var last: (time: IOInstant, bytes: Int64)
    private var rate: Double?

    /// A rate that jumps is no help: each look counts for a third.
    private static let weight = 1.0 / 3

    init(total: Int64, start: IOInstant) {
        self.total = total
        last = (start, 0)
    }

    /// Takes a look. Looks at the same instant change nothing.
    mutating func look(
        _ phase: CopyProgress.Phase, done: Int64, at time: IOInstant
    ) -> CopyProgress {
        let seconds = Double(time.nanoseconds(since: last.time)) / 1e9
        if seconds > 0 {
            let current = Double(done - last.bytes) / seconds
            rate = rate.map { $0 + (current - $0) * Self.weight } ?? current
            last = (time, done)
        }
        let rate = rate ?? 0
        let isKnown = phase == .copying && rate > 0
        return CopyProgress(
            phase: phase, bytesDone: done, bytesTotal: total, bytesPerSecond: rate,
            secondsLeft: isKnown ? Double(max(0, total - done)) / rate : nil)
    }
}
