internal import IOEngineCore

/// Says how far a copy is, at most four times a second.
struct CopyTicker {
    private var meter: CopyMeter
    private let onTick: (CopyProgress) -> Void
    /// Nothing is said before.
    private(set) var deadline: IOInstant

    private static let interval = Duration.milliseconds(250)

    init(total: Int64, start: IOInstant, onTick: @escaping (CopyProgress) -> Void) {
        meter = CopyMeter(total: total, start: start)
        deadline = start.advanced(by: Self.interval)
        self.onTick = onTick
    }

    mutating func tick(_ phase: CopyProgress.Phase, done: Int64, at time: IOInstant) {
        if time < deadline { return }
        onTick(meter.look(phase, done: done, at: time))
        deadline = time.advanced(by: Self.interval)
    }
}
