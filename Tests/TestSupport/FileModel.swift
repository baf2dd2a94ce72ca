internal import Glibc

/// What a file must contain, in memory.
public struct FileModel: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public var size: Int { bytes.count }

    /// Makes the file at least `size` long; what is new are zeros.
    public mutating func grow(to size: Int) {
        if size > bytes.count {
            bytes += [UInt8](repeating: 0, count: size - bytes.count)
        }
    }

    public mutating func write(_ source: [UInt8], at offset: Int) {
        grow(to: offset + source.count)
        unsafe bytes.withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { source in
                guard let to = target.baseAddress, let from = source.baseAddress else { return }
                unsafe memcpy(to + offset, from, source.count)
            }
        }
    }

    /// Makes what the file has of a range zero.
    public mutating func zero(_ range: Range<Int>) {
        let range = range.clamped(to: 0..<size)
        if range.isEmpty { return }
        unsafe bytes.withUnsafeMutableBytes { target in
            guard let to = target.baseAddress else { return }
            unsafe memset(to + range.lowerBound, 0, range.count)
        }
    }

    /// What a request on a range has to itself: the pages from the range, and everything from the end of
    /// the file on where it reaches that.
    ///
    /// - Parameters:
    ///   - page: Bytes of a page.
    ///   - others: What others have.
    /// - Returns: Nil: some of it belongs to another.
    public func claim(
        _ range: Range<Int>, page: Int, besides others: some Sequence<Range<Int>>
    ) -> Range<Int>? {
        var claim = range.lowerBound / page * page..<(range.upperBound + page - 1) / page * page
        if range.upperBound > size { claim = min(claim.lowerBound, size / page * page) ..< .max }
        return others.contains { $0.overlaps(claim) } ? nil : claim
    }

    /// How many bytes a read gets.
    public func readable(at offset: Int, count: Int) -> Int { max(0, min(count, size - offset)) }

    /// Whether `found` is what the file has at `offset`.
    public func matches(_ found: RawSpan, at offset: Int) -> Bool {
        if found.byteCount == 0 { return true }
        guard offset + found.byteCount <= size else { return false }
        return isEqual(found, bytes[offset..<offset + found.byteCount])
    }
}

/// Whether a span has exactly these bytes.
public func isEqual(_ found: RawSpan, _ wanted: [UInt8]) -> Bool { isEqual(found, wanted[...]) }

/// The same for a part of an array.
public func isEqual(_ found: RawSpan, _ wanted: ArraySlice<UInt8>) -> Bool {
    guard found.byteCount == wanted.count else { return false }
    return unsafe wanted.withUnsafeBytes { wanted in
        unsafe found.withUnsafeBytes { found in
            guard let wanted = wanted.baseAddress, let start = found.baseAddress else {
                return true
            }
            return unsafe memcmp(wanted, start, found.count) == 0
        }
    }
}

/// Random bytes to fill buffers with: a block made once, copied from random places.
public struct RandomBytes: Sendable {
    private let block: [UInt8]

    public init(count: Int, using random: inout SeededRandom) {
        var words = [UInt64]()
        for _ in 0..<(count + 7) / 8 { words.append(random.next()) }
        block = unsafe words.withUnsafeBytes { unsafe Array($0) }
    }

    /// `count` bytes from a random place of the block.
    public func some(_ count: Int, using random: inout SeededRandom) -> [UInt8] {
        let start = Int.random(in: 0...block.count - count, using: &random)
        return Array(block[start..<start + count])
    }
}
