import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// Real files on ext4, xfs and tmpfs.
@Suite struct FileTests {
    @Test(
        "a random mix leaves the file as the model says",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available, [1, 2, 5, 16])
    func randomMix(_ name: String, depth: Int) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        var mix = try RandomMix(
            on: fileSystem, depth: depth, driver: try URingDriver(depth: depth))
        try mix.run(operations: 500)
    }

    struct End: Sendable {
        var isDirect: Bool
        var capacity: Int
        var offset: Int
    }

    static let ends: [End] = [false, true].flatMap { isDirect in
        [4096, 8192].flatMap { capacity in
            [0, 4096, 8192].map { End(isDirect: isDirect, capacity: capacity, offset: $0) }
        }
    }

    @Test(
        "a read at the end of a 5,000 byte file moves what is there and succeeds",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available, ends)
    func endOfFile(_ name: String, _ end: End) throws {
        let size = 5000
        let fileSystem = try #require(TestFileSystem.named(name))
        let path = fileSystem.newPath("end")
        let written = try openNew(path)
        let file = try IODescriptor.open(FilePath(path), .readOnly, direct: end.isDirect)
        var loop = try PulledLoop.make()
        let bytes = pattern(size)
        let write = try loop.perform(.write(written, from: IOBuffer(copying: bytes), at: 0))
        let wrote = write.outcome.bytes
        #expect(wrote == size)

        let event = try loop.perform(
            .read(file, into: IOBuffer(capacity: end.capacity), at: Int64(end.offset)))
        let wanted = max(0, min(end.capacity, size - end.offset))
        let outcome = event.outcome
        #expect(outcome.bytes == wanted)
        #expect(outcome.isDone)
        #expect(outcome.count == wanted)
        #expect(outcome.transferred == wanted)
        for i in 0..<min(wanted, outcome.count) {
            let byte = event.buffer[i]
            try #require(byte == bytes[end.offset + i], "byte \(i)")
        }
    }

    @Test(
        "a read far past the end moves 0 bytes and succeeds",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available, [false, true])
    func pastTheEnd(_ name: String, isDirect: Bool) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        let file = try openNew(fileSystem.newPath("past"), direct: isDirect)
        var loop = try PulledLoop.make()
        var buffer = IOBuffer(capacity: 4096)
        buffer.fill(with: 1)
        let event = try loop.perform(.read(file, into: buffer, at: 1 << 40))
        let outcome = event.outcome
        #expect(outcome.bytes == 0)
        #expect(outcome.isDone)
        #expect(outcome.count == 0, "what was valid before is not what was read")
    }

    @Test(
        "a short transfer is handed over where the event says so, and continues when submitted again"
    )
    func handsOver() throws {
        let file = try openNew(TemporaryFolder.newPath())
        var loop = try PulledLoop.make()
        let write = try loop.perform(.write(file, from: IOBuffer(copying: pattern(5000)), at: 0))
        let wrote = write.outcome.bytes
        #expect(wrote == 5000)

        var read = PulledEvent.read(file, into: IOBuffer(capacity: 8192), at: 0)
        read.shortTransfers = .handsOver
        let short = try loop.perform(read)
        let first = short.outcome
        #expect(first.bytes == 5000)
        #expect(!first.isDone, "the kernel moved fewer than asked and did not say why")
        #expect(first.count == 5000)

        // The file grows in between; the rest goes behind what is there.
        let more = try loop.perform(
            .write(file, from: IOBuffer(copying: pattern(1000, from: 5000)), at: 5000))
        let grown = more.outcome.bytes
        #expect(grown == 1000)
        let again = try loop.perform(short)
        let second = again.outcome
        #expect(second.bytes == 6000)
        #expect(!second.isDone)
        #expect(second.count == 6000)

        let last = try loop.perform(again)
        let third = last.outcome
        #expect(third.bytes == 6000, "the end moves nothing more")
        #expect(third.isDone)
        let wanted = pattern(6000)
        for i in 0..<6000 {
            let byte = last.buffer[i]
            try #require(byte == wanted[i], "byte \(i)")
        }

        let done = try loop.perform(last)
        #expect(done.outcome.reason == nil || done.outcome.reason == .alreadyDone)
    }

    @Test("a hole reads as zeros, and what is allocated but not written too")
    func holes() throws {
        let file = try openNew(TemporaryFolder.newPath("holes"), direct: true)
        var loop = try PulledLoop.make()
        for (offset, length) in [(1 << 20, 65536)] {
            let event = try loop.perform(.allocate(file, at: Int64(offset), length: length))
            let error = event.outcome.error
            #expect(error == nil)
        }
        for offset in [0, 1 << 20] {
            var buffer = IOBuffer(capacity: 8192)
            buffer.fill(with: 0xff)
            let event = try loop.perform(.read(file, into: buffer, at: Int64(offset)))
            let moved = event.outcome.bytes
            #expect(moved == 8192)
            var others = 0
            for i in 0..<event.buffer.count where event.buffer[i] != 0 { others += 1 }
            #expect(others == 0)
        }
    }
}
