import TestSupport

/// All chance of a test from one seed: the same seed, the same run, on every machine.
struct Chance: RandomNumberGenerator {
    private var random: SeededRandom

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func next() -> UInt64 { random.next() }

    /// A number below `bound`, which is above 0.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// True in `percent` of 100 cases.
    mutating func happens(_ percent: Int) -> Bool { below(100) < percent }
}
