internal import IOEngineCore

/// A quick test whether any of the requests in a batch may touch another: what it denies need not be
/// sorted.
///
/// The file is cut into buckets of 4 KiB. Each request marks the buckets from its first byte to the
/// one behind its last (and behind the gap that may be bridged) in a small hash table; two that touch
/// meet in a bucket. A place holds one mark, and a later one takes it over: so the test can miss
/// neighbours, which costs a chance to join them and nothing else. It also finds some that are only
/// near, or that only look alike. Marks of earlier batches are told by their number.
struct NeighbourTest: ~Copyable {
    private let marks: FixedTable<UInt32>
    private let shift: UInt64
    private var batch: UInt32 = 1

    private static let bucketShift = 12
    /// A request that spans more buckets than this marks its first and last one only.
    private static let fullyMarked: Int64 = 16
    /// 2^64 divided by the golden ratio, made odd: spreads consecutive numbers well.
    private static let spread: UInt64 = 0x9e37_79b9_7f4a_7c15
    /// Bits of a mark that number the batch; the others are the hash's.
    private static let batchMask: UInt32 = 0xfff

    init(depth: Int) {
        // Two marks a request, and a third of the places taken at most.
        var bits: UInt64 = 8
        while 1 << bits < 6 * depth { bits += 1 }
        marks = FixedTable(count: 1 << Int(bits), repeating: 0)
        shift = 64 - bits
    }

    /// Forgets all marks.
    mutating func startBatch() {
        // 4096 batches later an old mark may be taken for a new one, which costs one sorting.
        batch = (batch &+ 1) & Self.batchMask
    }

    /// Marks the bytes of a transfer and `gap` more. True: it may touch one that was marked before.
    @inline(__always)
    mutating func meets(
        _ offset: Int64, _ length: Int, gap: Int, descriptor: Int32, isWrite: Bool
    ) -> Bool {
        let first = offset >> Self.bucketShift
        let last = (offset &+ Int64(length &+ gap)) >> Self.bucketShift
        // Files and directions apart; the low bits stay free for the bucket's number.
        let salt = (UInt64(UInt32(bitPattern: descriptor)) << 1 | (isWrite ? 1 : 0)) << 40
        let step = last &- first > Self.fullyMarked ? last &- first : 1
        // Products of consecutive numbers: one multiplication serves all.
        var hash = (UInt64(bitPattern: first) &+ salt) &* Self.spread
        let stride = UInt64(bitPattern: step) &* Self.spread
        var found: UInt32 = 0
        var bucket = first
        repeat {
            let place = Int(truncatingIfNeeded: hash >> shift)
            let mark = UInt32(truncatingIfNeeded: hash) & ~Self.batchMask | batch
            found |= marks[place] == mark ? 1 : 0
            marks[place] = mark
            hash &+= stride
            bucket &+= step
        } while bucket <= last
        return found != 0
    }
}
