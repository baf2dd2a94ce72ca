import BasicContainers
import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// What reads, writes and allocates see of a simulated disk.
@Suite struct DiskFileTests {
    @Test func aFileIsWhatWasWrittenAndHolesAreZero() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.open("a", options: .create)
        var loop = try disk.makeLoop()
        #expect(try loop.write(file, filled(7, 10), at: 100_000) == 10)
        #expect(try loop.read(file, 20, at: 99_995) == filled(0, 5) + filled(7, 10))
        #expect(try loop.read(file, 3, at: 100_010) == [])
        #expect(try loop.read(file, 3, at: 1 << 60) == [])
        #expect(disk.contents(of: "a") == filled(0, 100_000) + filled(7, 10))
        #expect(disk.contents(of: "b") == nil && disk.names == ["a"])
    }

    @Test func openingFollowsItsOptions() throws {
        let disk = SimulatedDisk(seed: 1)
        #expect(errno { try disk.open("a") } == .noSuchFileOrDirectory)
        disk.setContents(of: "a", to: [1, 2, 3])
        #expect(errno { try disk.open("a", options: [.create, .exclusiveCreate]) } == .fileExists)
        let first = try disk.open("a")
        #expect(first.facts.size == 3 && first.facts.isReadable && first.facts.isWritable)
        let second = try disk.open("a", .writeOnly, options: .truncate)
        #expect(second.rawValue != first.rawValue && second.facts.size == 0)
        #expect(!second.facts.isReadable && disk.contents(of: "a") == [])
        #expect(disk.name(of: second) == "a")
        #expect(disk.remove("a") && !disk.remove("a") && disk.names.isEmpty)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func aRandomMixIsWhatAModelSays(_ seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let contents = RandomBytes(count: 100_000, using: &random)
        let disk = SimulatedDisk(seed: seed)
        let buffered = try disk.open("f", options: .create)
        let direct = try disk.open("f", direct: true)
        let appending = try disk.open("f", .writeOnly, options: .append)
        var loop = try disk.makeLoop()
        var model = FileModel()
        for step in 0..<400 {
            let isDirect = random.isOne(in: 3)
            let unit = isDirect ? 512 : 1
            let file = isDirect ? direct : buffered
            let offset = Int.random(in: 0..<200_000 / unit, using: &random) * unit
            let length = Int.random(in: 1...40_000 / unit, using: &random) * unit
            switch Int.random(in: 0..<6, using: &random) {
            case 0, 1:
                let bytes = contents.some(length, using: &random)
                model.write(bytes, at: offset)
                #expect(try loop.write(file, bytes, at: Int64(offset)) == length)
            case 2:
                let bytes = contents.some(min(length, 1000), using: &random)
                model.write(bytes, at: model.size)
                #expect(try loop.write(appending, bytes, at: 0) == bytes.count)
            case 3:
                let modes: [IOAllocationMode] = [
                    .extend, .keepSize, .punchHole, .zeroRange, .zeroRangeKeepSize,
                ]
                let mode = modes[Int.random(in: 0..<5, using: &random)]
                if mode != .extend && mode != .keepSize { model.zero(offset..<offset + length) }
                if mode == .extend || mode == .zeroRange { model.grow(to: offset + length) }
                _ = try loop.moved(.allocate(file, mode, at: Int64(offset), length: length))
            default:
                let event = try loop.finish(
                    .read(file, into: IOBuffer(capacity: length), at: Int64(offset)))
                #expect(
                    try event.get() == model.readable(at: offset, count: length), "seed \(seed)")
                let isRight = model.matches(event.buffer.bytes, at: offset)
                #expect(isRight, "seed \(seed) step \(step)")
            }
        }
        #expect(disk.contents(of: "f") == model.bytes, "seed \(seed)")
        try loop.sync(buffered)
        #expect(disk.safeContents(of: "f") == model.bytes, "seed \(seed)")
    }

    @Test func vectorsOfAnyShapeLandWhereTheyShould() throws {
        let disk = SimulatedDisk(seed: 2)
        let file = try disk.open("v", options: .create)
        var loop = try disk.makeLoop()
        var buffers = UniqueArray<IOBuffer>()
        for (byte, count) in [(1, 1), (2, 16_383), (3, 5), (4, 20_000)] {
            buffers.append(IOBuffer(copying: filled(UInt8(byte), count)))
        }
        let total = 1 + 16_383 + 5 + 20_000
        #expect(try loop.moved(.write(file, from: buffers, at: 3)) == total)
        let wanted = filled(1, 1) + filled(2, 16_383) + filled(3, 5) + filled(4, 20_000)
        #expect(disk.contents(of: "v") == [0, 0, 0] + wanted)
        var into = UniqueArray<IOBuffer>()
        for count in [7, 16_384, 40_000] { into.append(IOBuffer(capacity: count)) }
        var event = try loop.finish(.read(file, into: into, at: 3))
        #expect(try event.get() == total)
        var found: [UInt8] = []
        event.withBuffers { buffers in
            for i in 0..<buffers.count {
                for k in 0..<buffers[i].count { found.append(buffers[i][k]) }
            }
        }
        #expect(found == wanted)
    }

    @Test func aDirectFileWantsAlignmentExceptAtItsEnd() throws {
        let disk = SimulatedDisk(seed: 3)
        disk.setContents(of: "d", to: filled(1, 5000))
        let file = try disk.open("d", direct: true)
        #expect(file.facts.offsetAlignment == 512 && file.facts.isDirect)
        var loop = try disk.makeLoop()
        #expect(errno { try loop.read(file, 512, at: 100) } == .invalidArgument)
        #expect(errno { try loop.read(file, 100, at: 512) } == .invalidArgument)
        #expect(errno { try loop.write(file, filled(1, 100), at: 0) } == .invalidArgument)
        #expect(try loop.read(file, 1024, at: 4608) == filled(1, 392))
        #expect(try loop.read(file, 100, at: 5000) == [])
        var buffer = IOBuffer(zeroed: 1024)
        buffer.resize(to: 1024)
        let shifted = try loop.finish(.read(file, into: buffer, at: 0, range: 100..<612))
        #expect(shifted.errno == .invalidArgument)
    }

    @Test func aFullDiskTakesWhatFitsAndThenNothing() throws {
        let disk = SimulatedDisk.quick { $0.capacity = 10 * 512 }
        let file = try disk.open("f", options: .create)
        var loop = try disk.makeLoop()
        #expect(try loop.write(file, filled(1, 4 * 512), at: 0) == 4 * 512)
        var event = Event.write(file, from: IOBuffer(zeroed: 10 * 512), at: 4 * 512)
        event.shortTransfers = .handsOver
        let short = try loop.finish(event)
        #expect(try short.get() == 6 * 512 && !short.isDone)
        let rest = try loop.finish(short)
        #expect(rest.errno == .noSpace && rest.transferred == 6 * 512)
        #expect(disk.usedSpace == 10 * 512)
        // Rewriting takes no space; a hole gives some back.
        #expect(try loop.write(file, filled(2, 10 * 512), at: 0) == 10 * 512)
        _ = try loop.moved(.allocate(file, .punchHole, at: 512, length: 1024))
        #expect(disk.usedSpace == 8 * 512)
        #expect(
            errno { try loop.moved(.allocate(file, .keepSize, at: 0, length: 512 * 11)) }
                == .noSpace)
        _ = try loop.moved(.allocate(file, .keepSize, at: 0, length: 512 * 10))
        #expect(disk.usedSpace == 10 * 512)
        #expect(try loop.write(file, filled(3, 1024), at: 512) == 1024)
        #expect(disk.usedSpace == 10 * 512)
    }

    @Test func aFileHasALargestSize() throws {
        let disk = SimulatedDisk.quick { $0.largestFile = 1000 }
        let file = try disk.open("f", options: .create)
        var loop = try disk.makeLoop()
        let event = try loop.finish(.write(file, from: IOBuffer(zeroed: 300), at: 900))
        #expect(event.errno == .fileTooLarge && event.transferred == 100)
        #expect(disk.contents(of: "f")?.count == 1000)
        #expect(errno { try loop.moved(.allocate(file, at: 900, length: 101)) } == .fileTooLarge)
    }

    @Test func whatIsWrongWithATargetIsAnsweredAsEverywhere() throws {
        let disk = SimulatedDisk(seed: 4)
        let readOnly = try disk.open("f", .readOnly, options: .create)
        let writeOnly = try disk.open("f", .writeOnly)
        var loop = try disk.makeLoop()
        #expect(errno { try loop.write(readOnly, [1], at: 0) } == .badFileDescriptor)
        #expect(errno { try loop.read(writeOnly, 1, at: 0) } == .badFileDescriptor)
        #expect(errno { try loop.read(disk.openDirectory(), 1, at: 0) } == .isDirectory)
        #expect(errno { try loop.read(disk.openPipe(), 1, at: 0) } == .illegalSeek)
        let unknown = FileDescriptor(rawValue: 77)
        let event = try loop.finish(.read(unknown, into: IOBuffer(capacity: 1), at: 0))
        #expect(event.errno == .badFileDescriptor)
        let flag = IOFlags(rawValue: 1 << 20)
        #expect(errno { try loop.write(writeOnly, [1], at: 0, flags: flag) } == .notSupported)
        #expect(errno { try loop.write(writeOnly, [1], at: 0, flags: .atomic) } == .notSupported)
    }

    @Test func appendingGoesToTheEndUnlessTheFlagForbids() throws {
        let disk = SimulatedDisk(seed: 5)
        let appending = try disk.open("f", options: [.create, .append])
        var loop = try disk.makeLoop()
        try loop.write(appending, [1, 2], at: 50)
        try loop.write(appending, [3], at: 0)
        try loop.write(appending, [9], at: 0, flags: .noAppend)
        let plain = try disk.open("f")
        try loop.write(plain, [4], at: 0, flags: .append)
        #expect(disk.contents(of: "f") == [9, 2, 3, 4])
    }
}
