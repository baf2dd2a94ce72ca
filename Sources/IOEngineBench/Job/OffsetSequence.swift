/// Where in the file the next IO goes: at random or one block behind the other, round and round.
@frozen
public struct OffsetSequence: Sendable {
    @usableFromInline var state: UInt64
    @usableFromInline var next: UInt64 = 0
    @usableFromInline let blocks: UInt64
    @usableFromInline let blockSize: UInt64
    /// Bytes from the file's start to the part that takes part.
    @usableFromInline let start: UInt64
    @usableFromInline let isRandom: Bool

    /// - Parameters:
    ///   - blocks: Numbers of the blocks that take part; not empty.
    ///   - blockSize: Bytes.
    ///   - job: Each job of a seed has a sequence of its own.
    public init(blocks: Range<Int>, blockSize: Int, isRandom: Bool, seed: UInt64, job: Int) {
        precondition(!blocks.isEmpty, "a sequence needs a block to go to")
        self.blocks = UInt64(blocks.count)
        self.blockSize = UInt64(blockSize)
        start = UInt64(blocks.lowerBound) * UInt64(blockSize)
        self.isRandom = isRandom
        // Marsaglia's example seed, as the raw C loops have it. xorshift must not start at 0.
        let constant: UInt64 = 88_172_645_463_325_252
        let mixed = constant ^ BlockPattern.scramble(seed &+ BlockPattern.scramble(UInt64(job)))
        state = mixed == 0 ? constant : mixed
    }

    /// The next offset, in bytes from the file's start.
    @inlinable @inline(__always)
    public mutating func nextOffset() -> Int64 {
        let block: UInt64
        if isRandom {
            // The high half of the product: even over the blocks without a division.
            block = nextRandom().multipliedFullWidth(by: blocks).high
        } else {
            block = next
            next &+= 1
            if next == blocks { next = 0 }
        }
        return Int64(truncatingIfNeeded: start &+ block &* blockSize)
    }

    /// 64 bits, never all 0 (xorshift64, Marsaglia 2003).
    @inlinable @inline(__always)
    public mutating func nextRandom() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}
