internal import Glibc

/// What a file must contain, in memory.
public struct FileModel: Sendable {
    public private(set) var bytes: [UInt8] = []
    /// Whether direct reads and buffered writes must not be in flight together, as on xfs.
    public var separatesAccesses = false

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
        _ range: Range<Int>, page: Int, _ access: FileAccess,
        besides others: some Sequence<FileClaim>
    ) -> FileClaim? {
        var pages = range.lowerBound / page * page..<(range.upperBound + page - 1) / page * page
        if range.upperBound > size { pages = min(pages.lowerBound, size / page * page) ..< .max }
        let isTaken = others.contains {
            $0.pages.overlaps(pages) || separatesAccesses && access.collides(with: $0.access)
        }
        return isTaken ? nil : FileClaim(pages: pages, access: access)
    }

    /// How many bytes a read gets.
    public func readable(at offset: Int, count: Int) -> Int { max(0, min(count, size - offset)) }

    /// Whether `found` is what the file has at `offset`.
    public func matches(_ found: RawSpan, at offset: Int) -> Bool {
        if found.byteCount == 0 { return true }
        guard offset + found.byteCount <= size else { return false }
        let count = found.byteCount
        return unsafe bytes.withUnsafeBytes { all in
            unsafe found.withUnsafeBytes { found in
                guard let wanted = all.baseAddress, let found = found.baseAddress else {
                    return false
                }
                return unsafe memcmp(wanted + offset, found, count) == 0
            }
        }
    }
}

/// Whether a span has exactly these bytes.
public func isEqual(_ found: RawSpan, _ wanted: [UInt8]) -> Bool {
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

/// What an operation in flight has for itself.
public struct FileClaim: Sendable {
    public var pages: Range<Int>
    public var access: FileAccess

    /// For what touches no bytes.
    public static let nothing = FileClaim(pages: 0..<0, access: .other)
}

/// How an operation uses a file.
public enum FileAccess: Sendable {
    case directRead, bufferedWrite, other

    public init(reads: Bool, writes: Bool, isDirect: Bool) {
        self = reads && isDirect ? .directRead : writes && !isDirect ? .bufferedWrite : .other
    }

    /// xfs answers EIO to a direct read that meets a place for which a buffered write so far has room in memory
    /// only, and says "Direct I/O collision with buffered writes" in the kernel's log. Such a place may be
    /// larger than what is written.
    func collides(with other: FileAccess) -> Bool {
        self == .directRead && other == .bufferedWrite
            || self == .bufferedWrite && other == .directRead
    }
}
