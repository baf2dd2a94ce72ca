/// How far a benchmark is, for a live line.
public struct BenchProgress: Sendable {
    public enum Phase: Sendable {
        /// The file is being written from one end to the other.
        case layingOut
        case measuring
        /// Blocks that were written are being read back.
        case checking
    }

    public let phase: Phase
    /// IOs a second since the last time; of a mebibyte each while the file is laid out.
    public let operationsPerSecond: Double
    /// 0 when it is not known.
    public let secondsLeft: Double
}
