internal import BasicContainers
public import IOEngineCore
internal import SystemPackage
internal import Testing

/// A random mix of everything on one file, against a model of it in memory.
///
/// Requests that are in flight together touch different pages, because nothing orders them; whatever
/// reaches the end of the file or beyond claims everything from there on.
public struct RandomMix<Driver: IODriver & ~Copyable>: ~Copyable {
    typealias Event = IOEvent<MixNumber>

    static var page: Int { 4096 }
    static var largestFile: Int { 512 << 10 }

    var random: SeededRandom
    let contents: RandomBytes
    let fileSystem: TestFileSystem
    let buffered: IODescriptor
    let direct: IODescriptor
    let appending: IODescriptor
    var loop: IOLoop<MixNumber, Driver>
    var model = FileModel()
    var inFlight: [Int: MixOperation] = [:]
    var submitted = 0
    let path: String

    /// - Parameter driver: Of at least the depth.
    public init(on fileSystem: TestFileSystem, depth: Int, driver: consuming Driver) throws {
        let path = fileSystem.newPath("mix")
        let buffered = try openNew(path)
        let direct = try IODescriptor.open(FilePath(path), .readWrite, direct: true)
        let appending = try IODescriptor.open(FilePath(path), .writeOnly, options: .append)
        loop = try IOLoop(depth: depth, driver: driver)
        var random = SeededRandom()
        contents = RandomBytes(count: 128 << 10, using: &random)
        self.random = random
        self.fileSystem = fileSystem
        self.path = path
        self.buffered = buffered
        self.direct = direct
        self.appending = appending
    }

    public mutating func run(operations: Int) throws {
        while submitted < operations {
            while loop.hasRoom, submitted < operations, try submitOne() {}
            try finishSome()
        }
        while loop.inFlight > 0 { try finishSome() }
        try checkWholeFile()
    }

    // MARK: Submitting

    /// False: what was drawn collides with what is in flight.
    private mutating func submitOne() throws -> Bool {
        let isDirect = Bool.random(using: &random)
        let unit = isDirect ? Self.page : 1
        let offset = Int.random(in: 0..<Self.largestFile / unit, using: &random) * unit
        let length =
            isDirect
            ? Int.random(in: 1...8, using: &random) * Self.page
            : Int.random(in: 1...40_000, using: &random)
        let file = isDirect ? direct : buffered
        if isDirect, !fileSystem.letsDirectReadsPassTheEnd, offset < model.size,
            offset + length > model.size
        {
            return try write(file, at: offset, length, unit)
        }
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30: return try read(file, at: offset, length, unit)
        case 30..<38: return try readVectored(file, at: offset, length)
        case 38..<68: return try write(file, at: offset, length, unit)
        case 68..<76: return try writeVectored(file, at: offset, length)
        case 76..<82: return try append(length)
        case 82..<97: return try allocate(file, at: offset, length)
        default: return try sync(file)
        }
    }

    private func claim(_ range: Range<Int>) -> Range<Int>? {
        model.claim(range, page: Self.page, besides: inFlight.values.map(\.claim))
    }

    private mutating func submit(_ event: consuming Event, _ operation: MixOperation) throws -> Bool
    {
        let number = submitted
        event.callback = MixNumber(value: number)
        let isAccepted = loop.submit(event).isAccepted
        try #require(isAccepted, "there was room")
        inFlight[number] = operation
        submitted += 1
        return true
    }

    private func expected(at offset: Int, _ length: Int) -> [UInt8] {
        let count = model.readable(at: offset, count: length)
        return count == 0 ? [] : Array(model.bytes[offset..<offset + count])
    }

    private mutating func read(
        _ file: IODescriptor, at offset: Int, _ length: Int, _ unit: Int
    ) throws -> Bool {
        guard let claim = claim(offset..<offset + length) else { return false }
        let found = expected(at: offset, length)
        var operation = MixOperation(
            kind: .read, offset: offset, claim: claim, bytes: found.count, found: found)
        if random.isOne(in: 3) {
            // Into the middle of a buffer whose other bytes must stay.
            let start = Int.random(in: 0...2, using: &random) * max(unit, 512)
            var buffer = IOBuffer(capacity: start + length + 512)
            buffer.fill(with: 0xee)
            operation.kind = .readRange
            operation.rangeStart = start
            operation.rangeEnd = start + length
            return try submit(
                .read(file, into: buffer, at: Int64(offset), range: start..<start + length),
                operation)
        }
        return try submit(
            .read(file, into: IOBuffer(capacity: length), at: Int64(offset)), operation)
    }

    private mutating func readVectored(
        _ file: IODescriptor, at offset: Int, _ length: Int
    ) throws -> Bool {
        guard let claim = claim(offset..<offset + length) else { return false }
        let found = expected(at: offset, length)
        var buffers = UniqueArray<IOBuffer>()
        for part in parts(of: length) { buffers.append(IOBuffer(capacity: part)) }
        return try submit(
            .read(file, into: buffers, at: Int64(offset)),
            MixOperation(
                kind: .readVectored, offset: offset, claim: claim, bytes: found.count, found: found)
        )
    }

    private mutating func write(
        _ file: IODescriptor, at offset: Int, _ length: Int, _ unit: Int
    ) throws -> Bool {
        guard let claim = claim(offset..<offset + length) else { return false }
        let bytes = contents.some(length, using: &random)
        let operation = MixOperation(kind: .write, offset: offset, claim: claim, bytes: length)
        model.write(bytes, at: offset)
        if random.isOne(in: 3) {
            let start = Int.random(in: 0...2, using: &random) * max(unit, 512)
            let beside = [UInt8](repeating: 0xee, count: 512)
            let buffer = IOBuffer(copying: contents.some(start, using: &random) + bytes + beside)
            return try submit(
                .write(file, from: buffer, at: Int64(offset), range: start..<start + length),
                operation)
        }
        return try submit(
            .write(file, from: IOBuffer(copying: bytes), at: Int64(offset)), operation)
    }

    private mutating func writeVectored(
        _ file: IODescriptor, at offset: Int, _ length: Int
    ) throws -> Bool {
        guard let claim = claim(offset..<offset + length) else { return false }
        let bytes = contents.some(length, using: &random)
        model.write(bytes, at: offset)
        var buffers = UniqueArray<IOBuffer>()
        var start = 0
        for part in parts(of: length) {
            buffers.append(IOBuffer(copying: Array(bytes[start..<start + part])))
            start += part
        }
        return try submit(
            .write(file, from: buffers, at: Int64(offset)),
            MixOperation(kind: .write, offset: offset, claim: claim, bytes: length))
    }

    /// Cuts a length into one to four parts; whole pages where it is whole pages.
    private mutating func parts(of length: Int) -> [Int] {
        let unit = length % Self.page == 0 ? Self.page : 1
        var left = length / unit
        var parts: [Int] = []
        while left > 1, parts.count < 3 {
            let part = Int.random(in: 1..<left, using: &random)
            parts.append(part * unit)
            left -= part
        }
        return parts + [left * unit]
    }

    private mutating func append(_ length: Int) throws -> Bool {
        let length = min(length, 5000)
        guard model.size + length < 2 * Self.largestFile,
            let claim = claim(model.size..<model.size + length)
        else { return false }
        let bytes = contents.some(length, using: &random)
        let operation = MixOperation(kind: .append, offset: model.size, claim: claim, bytes: length)
        model.write(bytes, at: model.size)
        // The offset is of no importance: once the descriptor appends, once the flag.
        let isFlag = Bool.random(using: &random)
        var event = Event.write(
            isFlag ? buffered : appending, from: IOBuffer(copying: bytes), at: 0)
        if isFlag { event.flags = .append }
        return try submit(event, operation)
    }

    private mutating func allocate(
        _ file: IODescriptor, at offset: Int, _ length: Int
    ) throws -> Bool {
        guard let claim = claim(offset..<offset + length) else { return false }
        var modes: [IOAllocationMode] = [.extend, .keepSize, .punchHole]
        if fileSystem.canZeroRanges { modes += [.zeroRange, .zeroRangeKeepSize] }
        let mode = modes[Int.random(in: 0..<modes.count, using: &random)]
        let range = offset..<offset + length
        if mode != .extend && mode != .keepSize { model.zero(range) }
        if mode == .extend || mode == .zeroRange { model.grow(to: range.upperBound) }
        return try submit(
            .allocate(file, mode, at: Int64(offset), length: length),
            MixOperation(kind: .allocate, offset: offset, claim: claim, bytes: 0))
    }

    private mutating func sync(_ file: IODescriptor) throws -> Bool {
        let operation = MixOperation(kind: .sync, offset: 0, claim: 0..<0, bytes: 0)
        return try submit(.sync(file, Bool.random(using: &random) ? .data : .full), operation)
    }
}

/// One that is in flight.
struct MixOperation {
    var kind: MixKind
    var offset: Int
    var claim: Range<Int>
    /// Bytes that it must move, or 0.
    var bytes: Int
    /// What a read must find, copied when it was submitted.
    var found: [UInt8] = []
    /// Where in its buffer a read with a range begins and ends.
    var rangeStart = 0
    var rangeEnd = 0
}

enum MixKind: Equatable {
    case read, readRange, readVectored, write, append, allocate, sync
}

/// Which operation an event is.
struct MixNumber: IOCallback {
    let value: Int
    consuming func call(
        _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
    ) {}
}
