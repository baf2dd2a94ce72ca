internal import Glibc

/// Splitmix64: all chance of a test from one seed, so that a failure can be repeated.
///
/// The seed comes from the environment variable IOENGINE_SEED, or from the system; a test puts
/// ``note`` into its expectations, so that a failure prints it.
public struct SeededRandom: RandomNumberGenerator {
    public let seed: UInt64
    private var state: UInt64

    public init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// From IOENGINE_SEED where it is set, else a new seed.
    public init() {
        self.init(seed: Self.seedFromEnvironment ?? UInt64.random(in: 1 ... .max))
    }

    private static var seedFromEnvironment: UInt64? {
        guard let text = unsafe getenv("IOENGINE_SEED") else { return nil }
        return unsafe UInt64(String(cString: text))
    }

    /// For the comment of an expectation.
    public var note: String { "repeat with IOENGINE_SEED=\(seed)" }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// True once in `times` on average.
    public mutating func isOne(in times: Int) -> Bool {
        Int.random(in: 0..<times, using: &self) == 0
    }
}
