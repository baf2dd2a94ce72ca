/// All chance of a simulation, from one seed: the same seed gives the same numbers on every machine.
///
/// Splitmix64. Its own methods use integers only and never change; the standard library's, which it
/// serves as well, may do something else in another version of Swift.
public struct SimulationRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return Self.mix(state)
    }

    /// A number below `bound`, which is at least 1.
    public mutating func below(_ bound: Int) -> Int {
        precondition(bound >= 1, "no number is below \(bound)")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number of the range.
    public mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    /// True once in `times` on average; never for 0.
    public mutating func isOne(in times: Int) -> Bool { times > 0 && below(times) == 0 }

    /// True in `percent` of 100 cases.
    public mutating func happens(_ percent: Int) -> Bool { percent > 0 && below(100) < percent }

    /// One of the elements; the array is not empty.
    public mutating func one<Element>(of elements: [Element]) -> Element {
        elements[below(elements.count)]
    }

    /// Puts the elements in an order in which each is equally likely.
    public mutating func shuffle<Element>(_ elements: inout [Element]) {
        var left = elements.count
        while left > 1 {
            let chosen = below(left)
            left -= 1
            elements.swapAt(left, chosen)
        }
    }

    /// Random bytes.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8]()
        bytes.reserveCapacity(count)
        var word: UInt64 = 0
        for place in 0..<count {
            if place & 7 == 0 { word = next() }
            bytes.append(UInt8(truncatingIfNeeded: word))
            word >>= 8
        }
        return bytes
    }

    /// Another sequence that does not depend on how many numbers are drawn here afterwards.
    public mutating func fork() -> SimulationRandom { SimulationRandom(seed: Self.mix(next())) }

    /// A number that depends on both, and looks random.
    public static func hash(_ seed: UInt64, _ value: UInt64) -> UInt64 {
        mix(mix(seed ^ 0x6a09_e667_f3bc_c909) &+ value &* 0x9e37_79b9_7f4a_7c15)
    }

    /// Exponentially distributed with this mean, from integers alone.
    mutating func exponential(mean: Int64) -> Int64 {
        guard mean > 0 else { return 0 }
        // A uniform number of 64 bits is 2^-(zeros + 1) * m with 1 <= m < 2, so its negative binary
        // logarithm is zeros + 1 - log2(m); log2(m) comes bit by bit from squaring m.
        let uniform = next() | 1
        let zeros = uniform.leadingZeroBitCount
        var mantissa = (uniform << UInt64(zeros)) >> 32
        var logarithm: UInt64 = 0
        for _ in 0..<16 {
            mantissa = (mantissa &* mantissa) >> 31
            logarithm <<= 1
            if mantissa >= 1 << 32 {
                logarithm |= 1
                mantissa >>= 1
            }
        }
        let bits = UInt64(zeros + 1) << 16 - logarithm
        // ln 2 = 45426 / 2^16.
        let natural = bits &* 45_426
        let (high, low) = UInt64(mean).multipliedFullWidth(by: natural)
        return Int64(clamping: high << 32 | low >> 32)
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
