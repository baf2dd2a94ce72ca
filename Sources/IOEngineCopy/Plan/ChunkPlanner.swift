/// A piece of the file that is read and written at once.
struct CopyChunk: Equatable, Sendable {
    /// Bytes from the start of the file; a multiple of the planner's alignment.
    var offset: Int64
    /// Bytes, of which the file has all; a multiple of the alignment unless the file ends there.
    var length: Int
}

/// Cuts what a file has as data into chunks, so that every byte of data is in exactly one of them and
/// a hole is in none, as far as the alignment allows. Pure: it asks for the data and is told.
///
/// Chunks end at multiples of the chunk size, wherever their data begins: so large writes meet the
/// boundaries of whatever lies below.
struct ChunkPlanner: Sendable {
    /// What to do next.
    enum Step: Equatable, Sendable {
        case copy(CopyChunk)
        /// Call ``supply(_:)`` with the first run of data at or behind this offset.
        case needsData(from: Int64)
        case finished
    }

    private let size: Int64
    private let chunkSize: Int64
    private let alignment: Int64
    /// What lies before is planned, or a hole.
    private var position: Int64 = 0
    /// Where the run of data that is being cut ends.
    private var end: Int64 = 0

    /// - Parameters:
    ///   - size: Of the file, in bytes.
    ///   - chunkSize: Bytes; rounded up to the alignment.
    ///   - alignment: Bytes; runs of data grow to multiples of it on both sides. 1: they do not.
    init(size: Int64, chunkSize: Int, alignment: Int) {
        precondition(size >= 0 && chunkSize > 0 && alignment > 0, "sizes are in bytes")
        self.size = size
        self.alignment = Int64(alignment)
        self.chunkSize = Self.roundUp(Int64(chunkSize), to: Int64(alignment))
    }

    mutating func step() -> Step {
        if position >= size { return .finished }
        if position >= end { return .needsData(from: position) }
        let boundary = Self.roundUp(position + 1, to: chunkSize)
        let chunk = CopyChunk(offset: position, length: Int(min(boundary, end) - position))
        position += Int64(chunk.length)
        return .copy(chunk)
    }

    /// Answers ``Step/needsData(from:)``. Nil: only holes are left.
    mutating func supply(_ data: Range<Int64>?) {
        assert(position >= end, "nobody asked")
        guard let data, data.lowerBound < size, data.upperBound > position, !data.isEmpty else {
            position = size
            return
        }
        // The last run was rounded up, and may reach into this one.
        position = max(position, data.lowerBound / alignment * alignment)
        end = min(size, Self.roundUp(data.upperBound, to: alignment))
    }

    /// The next multiple of `unit`; where there is none, the largest number.
    private static func roundUp(_ value: Int64, to unit: Int64) -> Int64 {
        let over = value % unit
        if over == 0 { return value }
        let (sum, overflowed) = value.addingReportingOverflow(unit - over)
        return overflowed ? .max : sum
    }

    /// The most bytes that one IO has.
    var largestLength: Int { Int(min(chunkSize, Self.roundUp(max(size, 1), to: alignment))) }

    /// How many bytes an IO has that moves a chunk: the chunk's length, rounded up to the alignment
    /// where the file ends.
    func lengthOfIO(for chunk: CopyChunk) -> Int {
        Int(Self.roundUp(Int64(chunk.length), to: alignment))
    }

    /// How many chunks can be under way at once: as many as there may be, 1 at least.
    func concurrency(upTo depth: Int) -> Int {
        Int(min(Int64(depth), max(1, Self.roundUp(size, to: chunkSize) / chunkSize)))
    }
}

extension ChunkPlanner {
    /// The next chunk of a file; nil: there is none.
    mutating func next(_ source: CopySource) throws(CopyError) -> CopyChunk? {
        while true {
            switch step() {
            case .copy(let chunk): return chunk
            case .needsData(let offset): supply(try source.data(from: offset))
            case .finished: return nil
            }
        }
    }
}
