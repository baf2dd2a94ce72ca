internal import IOEngineCore

/// What a checking job remembers: which of its blocks hold the pattern, and what to do next.
public struct CheckedBlocks: Sendable {
    let blocks: Range<Int>
    let blockSize: Int
    let workload: BenchPlan.Workload
    let verify: Bool
    private var offsets: OffsetSequence
    /// Decides between reading and writing; another sequence than that of the offsets.
    private var coin: OffsetSequence
    /// A bit for each block, set once a write of it has succeeded.
    private var written: [UInt64]

    @usableFromInline
    init(_ order: JobOrder) {
        blocks = order.blocks
        blockSize = order.plan.blockSize
        workload = order.plan.workload
        verify = order.plan.verify
        offsets = order.makeOffsets()
        coin = OffsetSequence(
            blocks: 0..<1, blockSize: 1, isRandom: true, seed: ~order.plan.seed, job: order.number)
        written =
            order.plan.verify
            ? Array(repeating: order.isLaidOut ? .max : 0, count: (order.blocks.count + 63) / 64)
            : []
    }

    /// Where to go next, and whether to read. What was never written cannot be verified: it is
    /// written instead.
    @usableFromInline
    mutating func next() -> (offset: Int64, reads: Bool) {
        let offset = offsets.nextOffset()
        switch workload {
        case .read, .randread: return (offset, true)
        case .write, .randwrite: return (offset, false)
        case .randrw:
            // A high bit: the low ones of xorshift are the weaker.
            let wantsToRead = coin.nextRandom() >> 63 == 0
            return (offset, wantsToRead && (!verify || isWritten(offset)))
        }
    }

    @usableFromInline
    mutating func noteWritten(_ offset: Int64) {
        guard verify else { return }
        let index = index(offset)
        written[index / 64] |= 1 << UInt64(index % 64)
    }

    func isWritten(_ offset: Int64) -> Bool { isWritten(index: index(offset)) }

    private func index(_ offset: Int64) -> Int { Int(offset) / blockSize - blocks.lowerBound }

    private func isWritten(index: Int) -> Bool {
        written[index / 64] >> UInt64(index % 64) & 1 == 1
    }

    /// The first written block from `index` on, counted from the job's first.
    @usableFromInline
    func writtenOffset(from index: inout Int) -> Int64? {
        while index < blocks.count {
            defer { index += 1 }
            if isWritten(index: index) {
                return Int64(blocks.lowerBound + index) * Int64(blockSize)
            }
        }
        return nil
    }
}
