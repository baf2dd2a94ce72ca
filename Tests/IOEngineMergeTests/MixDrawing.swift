import IOEngineCore
import TestSupport

enum MixKind: Equatable {
    case read, readVectored, write, writeVectored, append, sync, noOperation

    var isTransfer: Bool { self != .sync && self != .noOperation }
    var isRead: Bool { self == .read || self == .readVectored }
    var isWrite: Bool { self == .write || self == .writeVectored || self == .append }
    var isVectored: Bool { self == .readVectored || self == .writeVectored }
}

/// What a mix is made of.
struct MixOptions {
    /// Bytes of the file, at first and, unless it grows, for ever.
    var size = 256 << 10
    /// Bytes of one operation at most.
    var largest = 16 << 10
    /// What reads and writes of different operations must not share: bytes, or pages.
    var unit = 1
    /// Of offsets, lengths and parts.
    var alignment = 1
    var grows = false
    var stops = false
    var handsOver = false
    var badRanges: [Range<Int>] = []
}

/// One operation, before it is known what it finds.
struct MixDrawn {
    var kind: MixKind
    var range: Range<Int>
    var flags: IOFlags = []
    var handsOver = false
}

/// Draws operations that mostly continue one of a few streams.
struct MixDrawing {
    let options: MixOptions
    /// Where each stream goes on; even ones read, odd ones write.
    private var cursors: [Int]
    private var stream = 0
    private var left = 0
    private var previous = 0..<0

    init(_ options: MixOptions) {
        self.options = options
        cursors = (0..<5).map { $0 * options.size / 5 / options.alignment * options.alignment }
    }

    mutating func next(_ random: inout SeededRandom, size: Int) -> MixDrawn {
        if random.isOne(in: 60) {
            return MixDrawn(
                kind: random.isOne(in: 3) ? .noOperation : .sync, range: 0..<0,
                handsOver: Bool.random(using: &random))
        }
        if left == 0 {
            stream = Int.random(in: 0..<cursors.count, using: &random)
            left = Int.random(in: 1...24, using: &random)
            if random.isOne(in: 4) { cursors[stream] = place(&random) }
        }
        left -= 1
        let isRead = stream % 2 == 0
        let length = length(&random)
        var start = cursors[stream]
        switch Int.random(in: 0..<20, using: &random) {
        case 0: start += Int.random(in: 0...3, using: &random) * max(options.alignment, 700)
        case 1 where isRead: start = previous.lowerBound
        case 2 where isRead:
            let back = Int.random(in: 0...previous.count, using: &random)
            start = max(0, previous.upperBound - back / options.alignment * options.alignment)
        case 3: start = place(&random)
        default: break
        }
        start = start / options.alignment * options.alignment
        if !isRead, options.grows, random.isOne(in: 50), size < 2 * options.size {
            return MixDrawn(kind: .append, range: size..<size + length, flags: .append)
        }
        let limit = options.grows ? 2 * options.size : options.size
        if !isRead, start + length > limit { start = 0 }
        // A read may begin behind the end.
        if start > limit + options.largest { start = 0 }
        let range = start..<start + length
        cursors[stream] = range.upperBound
        if isRead { previous = range }
        return decorate(isRead, range, &random)
    }

    private func decorate(
        _ isRead: Bool, _ range: Range<Int>, _ random: inout SeededRandom
    ) -> MixDrawn {
        let isListed = random.isOne(in: 8)
        var drawn = MixDrawn(
            kind: isRead
                ? isListed ? .readVectored : .read : isListed ? .writeVectored : .write,
            range: range)
        if !isRead, random.isOne(in: 20) { drawn.flags = .dataSync }
        drawn.handsOver = random.isOne(in: 15) && options.handsOver
        return drawn
    }

    private func place(_ random: inout SeededRandom) -> Int {
        Int.random(in: 0..<options.size, using: &random) / options.alignment * options.alignment
    }

    private func length(_ random: inout SeededRandom) -> Int {
        let unit = options.alignment
        if random.isOne(in: 10) {
            return Int.random(in: 1...options.largest / unit, using: &random) * unit
        }
        let usual = [512, 1024, 4096, 4096, 4096, 700]
        let length = usual.randomElement(using: &random) ?? 4096
        return max(unit, length / unit * unit)
    }
}
