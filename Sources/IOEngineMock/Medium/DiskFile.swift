internal import IOEngineCore

/// A file of a simulated disk: chunks where something was written, holes between them.
final class DiskFile {
    let number: Int
    let name: String
    let kind: IODescriptorFacts.Kind
    /// As reads see it, in bytes.
    var size: Int64 = 0
    /// What every crash leaves at least.
    var safeSize: Int64 = 0
    /// How it grew since then, in order; the last is `size`. One alone unless the disk is ordered.
    var growths: [Growth] = []
    /// Looked up by number, never iterated without sorting: the order of a dictionary varies.
    private(set) var chunks: [Int: DiskChunk] = [:]
    /// Chunks that are not clean, in the order in which they became so.
    var dirtyChunks: [Int] = []
    /// It has no name any more.
    var isRemoved = false
    /// Reserved space, by sector.
    var reserved = SectorRanges()
    var badForEver = SectorRanges()
    var badUntilRewritten = SectorRanges()
    /// The chunk used last, to be found without a look-up.
    private var recent: (index: Int, chunk: DiskChunk)?

    struct Growth {
        var ordinal: UInt64
        var size: Int64
    }

    init(number: Int, name: String, kind: IODescriptorFacts.Kind) {
        self.number = number
        self.name = name
        self.kind = kind
    }

    var chunkIndices: [Int] { chunks.keys.sorted() }

    /// The chunks that a range touches, in order, without looking at each hole of a large range.
    func chunkIndices(in range: Range<Int64>) -> [Int] {
        if range.isEmpty { return [] }
        let first = Int(range.lowerBound) / DiskChunk.size
        let last = Int(range.upperBound - 1) / DiskChunk.size
        if last - first < chunks.count { return (first...last).filter { chunks[$0] != nil } }
        return chunks.keys.filter { $0 >= first && $0 <= last }.sorted()
    }

    func chunk(_ index: Int) -> DiskChunk? {
        if let recent, recent.index == index { return recent.chunk }
        guard let chunk = chunks[index] else { return nil }
        recent = (index, chunk)
        return chunk
    }

    func makeChunk(_ index: Int) -> DiskChunk {
        if let chunk = chunk(index) { return chunk }
        let chunk = DiskChunk()
        put(chunk, index)
        return chunk
    }

    func put(_ chunk: DiskChunk, _ index: Int) {
        chunks[index] = chunk
        recent = (index, chunk)
    }

    func removeAllChunks() {
        chunks.removeAll()
        dirtyChunks.removeAll()
        recent = nil
    }

    /// The file is at least this large from now on.
    ///
    /// - Parameter keepsAll: Remember each growth, not only the last.
    func grow(to end: Int64, ordinal: UInt64, keepsAll: Bool) {
        guard end > size else { return }
        size = end
        if !keepsAll { growths.removeAll(keepingCapacity: true) }
        growths.append(Growth(ordinal: ordinal, size: end))
    }

    /// Every crash leaves at least this size.
    func makeSizeSafe(_ end: Int64) {
        safeSize = max(safeSize, min(end, size))
        growths.removeAll { $0.size <= safeSize }
    }
}

/// A descriptor of a simulated disk.
struct OpenFile {
    var file: DiskFile
    var isDirect: Bool
    var isAppending: Bool
    var isReadable: Bool
    var isWritable: Bool
}
