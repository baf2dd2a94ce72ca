internal import IOEngineCore

/// A quick test whether any of the requests in a batch may touch another: what it denies need not be
/// sorted.
///
/// The file is cut into buckets of 4 KiB. Each request marks the buckets from its first byte to the
/// one behind its last (and behind the gap that may be bridged) in a small hash table; two that touch
/// meet in a bucket. A place holds one mark, and a later one takes it over: so the test can miss
/// neighbours, which costs a chance to join them and nothing else. It also finds some that are only
/// near. Marks of earlier batches are told by their number.
struct NeighbourTest: ~Copyable {
    private let marks: FixedTable<UInt64>
    private let shift: UInt64
    private var batch: UInt64 = 1

    private static let bucketShift = 12
    /// A request that spans more buckets than this marks its first and last one only.
    private static let fullyMarked: Int64 = 16
    /// 2^64 divided by the golden ratio, made odd: spreads consecutive numbers well.
    private static let spread: UInt64 = 0x9e37_79b9_7f4a_7c15

    init(depth: Int) {
        // Two marks a request, and a third of the places taken at most.
        var bits: UInt64 = 8
        while 1 << bits < 6 * depth { bits += 1 }
        marks = FixedTable(count: 1 << Int(bits), repeating: 0)
        shift = 64 - bits
    }

    /// Forgets all marks.
    mutating func startBatch() {
        // 2^31 batches later an old mark may be taken for a new one, which costs one sorting.
        batch &+= 1
    }

    /// Marks a transfer. True: it may touch one that was marked before.
    @inline(__always)
    mutating func meets(_ request: IORequest, gap: Int) -> Bool {
        let first = request.offset >> Self.bucketShift
        let last = (request.offset &+ Int64(request.length &+ gap)) >> Self.bucketShift
        let isWrite: UInt64 = request.action.isWrite ? 1 : 0
        // Files and directions apart; the low bits stay free for the bucket's number.
        let salt = (UInt64(UInt32(bitPattern: request.descriptor)) << 1 | isWrite) << 40
        var found = false
        let step = last &- first > Self.fullyMarked ? last &- first : 1
        var bucket = first
        while bucket <= last {
            let hash = (UInt64(bitPattern: bucket) &+ salt) &* Self.spread
            let mark = hash << 32 | batch & 0xffff_ffff
            let place = Int(truncatingIfNeeded: hash >> shift)
            found = found || marks[place] == mark
            marks[place] = mark
            bucket &+= step
        }
        return found
    }
}
