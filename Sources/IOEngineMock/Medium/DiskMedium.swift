internal import Glibc
internal import IOEngineCore

/// What is on a simulated disk: files, and which of their bytes are safe. Knows nothing of time, queues
/// or faults. Results are bytes or negative errnos.
final class DiskMedium {
    let configuration: SimulatedDisk.Configuration
    var files: [DiskFile] = []
    /// Only ever looked up.
    private var numbers: [String: Int] = [:]
    private var descriptors: [OpenFile] = []
    /// Of the write, allocate or sync that completed last.
    var ordinal: UInt64 = 0
    /// Bytes kept of versions that are not safe.
    var history = 0
    var usedSectors: Int64 = 0

    /// No kernel gives numbers so high (fs.nr_open is 2^20 at first), so one that goes astray hits no
    /// real file.
    static let firstDescriptor: Int32 = 1 << 20

    init(_ configuration: SimulatedDisk.Configuration) { self.configuration = configuration }

    var sectorSize: Int { configuration.sectorSize }

    var sectorLimit: Int64 { configuration.capacity / Int64(sectorSize) }

    // MARK: Files and descriptors

    func file(named name: String) -> DiskFile? { numbers[name].map { files[$0] } }

    func makeFile(_ name: String, kind: IODescriptorFacts.Kind = .regular) -> DiskFile {
        let file = DiskFile(number: files.count, name: name, kind: kind)
        files.append(file)
        numbers[name] = file.number
        return file
    }

    /// The names of all files, sorted.
    var names: [String] { numbers.keys.sorted() }

    func remove(_ file: DiskFile) {
        truncate(file)
        file.isRemoved = true
        numbers[file.name] = nil
    }

    func open(_ open: OpenFile) -> Int32 {
        descriptors.append(open)
        return Self.firstDescriptor + Int32(descriptors.count - 1)
    }

    func openFile(_ descriptor: Int32) -> OpenFile? {
        let index = Int(descriptor) - Int(Self.firstDescriptor)
        return descriptors.indices.contains(index) ? descriptors[index] : nil
    }

    func facts(_ open: OpenFile) -> IODescriptorFacts {
        let file = open.file
        return IODescriptorFacts(
            kind: file.kind, isSeekable: file.kind == .regular || file.kind == .directory,
            isDirect: open.isDirect, isAppending: open.isAppending, isReadable: open.isReadable,
            isWritable: open.isWritable, size: file.size, device: 0xd15c,
            inode: UInt64(file.number) + 1, offsetAlignment: configuration.offsetAlignment,
            memoryAlignment: configuration.memoryAlignment)
    }

    /// Makes a file end at 0 bytes, safely and at once.
    func truncate(_ file: DiskFile) {
        for index in file.chunkIndices {
            guard let chunk = file.chunk(index) else { continue }
            for part in chunk.parts { history -= part.image.count }
            usedSectors -= Int64(
                unreserved(chunk.allocated, chunk: index, of: file).nonzeroBitCount)
        }
        for range in file.reserved.ranges { usedSectors -= Int64(range.count) }
        file.reserved = SectorRanges()
        file.removeAllChunks()
        file.growths.removeAll()
        file.size = 0
        file.safeSize = 0
    }

    // MARK: Sectors

    func sectors(_ range: Range<Int64>) -> Range<Int64> {
        if range.isEmpty { return 0..<0 }
        let size = Int64(sectorSize)
        return range.lowerBound / size..<(range.upperBound - 1) / size + 1
    }

    var sectorsPerChunk: Int { DiskChunk.size / sectorSize }

    /// Those of a chunk's sectors that are not reserved, and so take space of their own.
    func unreserved(_ mask: UInt32, chunk: Int, of file: DiskFile) -> UInt32 {
        if file.reserved.isEmpty { return mask }
        var left = mask
        let first = Int64(chunk * sectorsPerChunk)
        for sector in 0..<sectorsPerChunk where file.reserved.contains(first + Int64(sector)) {
            left &= ~(1 << UInt32(sector))
        }
        return left
    }

    /// Visits the parts of a range that lie in one chunk each, in order.
    func forEachPart(
        _ offset: Int64, _ length: Int,
        _ body: (_ chunk: Int, _ within: Int, _ count: Int) -> Void
    ) {
        var position = Int(offset)
        var left = length
        while left > 0 {
            let within = position % DiskChunk.size
            let count = min(left, DiskChunk.size - within)
            body(position / DiskChunk.size, within, count)
            position += count
            left -= count
        }
    }

    // MARK: Answers

    static func answer(_ errno: Int32) -> Int { -Int(errno) }

    /// The descriptor of a request, if it may do what it wants; else the answer.
    func target(_ request: IORequest) -> (open: OpenFile?, answer: Int) {
        guard let open = openFile(request.descriptor) else { return (nil, Self.answer(EBADF)) }
        let action = request.action
        if action.isRead && !open.isReadable || action.isWrite && !open.isWritable
            || action == .allocate && !open.isWritable
        {
            return (nil, Self.answer(EBADF))
        }
        switch open.file.kind {
        case .regular: return (open, 0)
        case .directory: return action.isSync ? (open, 0) : (nil, Self.answer(EISDIR))
        default: return (nil, Self.answer(action.isSync ? EINVAL : ESPIPE))
        }
    }

    /// Flags that make no sense here; 0: fine.
    func refusal(ofFlags flags: IOFlags, _ request: IORequest, _ open: OpenFile) -> Int {
        if flags.isEmpty { return 0 }
        if flags.rawValue & ~0xff != 0 { return Self.answer(EOPNOTSUPP) }
        if flags.isSuperset(of: [.append, .noAppend]) { return Self.answer(EINVAL) }
        guard flags.contains(.atomic) else { return 0 }
        let largest = configuration.largestAtomicWrite
        guard request.action.isWrite, open.isDirect, largest > 0 else {
            return Self.answer(EOPNOTSUPP)
        }
        let length = request.length
        let fits =
            length >= sectorSize && length <= largest && length & (length - 1) == 0
            && request.offset % Int64(length) == 0
        return fits ? 0 : Self.answer(EINVAL)
    }

    func isAligned(_ request: IORequest, at offset: Int64, _ open: OpenFile) -> Bool {
        if !open.isDirect { return true }
        let alignment = configuration.offsetAlignment
        return offset % Int64(alignment) == 0 && request.length % alignment == 0
            && RequestMemory(request).isAligned(to: configuration.memoryAlignment)
    }
}
