import Glibc
import IOEngineAIO
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// What goes into the kernel, what is tried on the spot and what helpers do.
@Suite struct BlockingTests {
    private func make(depth: Int) throws -> AIOLoop {
        try AIOLoop(depth: depth, driver: try makeDriver(depth: depth))
    }

    private func helpers(_ loop: borrowing AIOLoop) -> Int {
        loop.withDriver { $0.helperThreadCount }
    }

    @Test(
        "direct IO inside a file needs no helper; past its end and in holes it does, and is right")
    func direct() throws {
        let file = try openNew(TemporaryFolder.newPath("direct"), direct: true)
        var loop = try make(depth: 8)
        let allocated = try loop.perform(.allocate(file, at: 0, length: 1 << 20)).outcome
        #expect(allocated.error == nil)
        #expect(helpers(loop) == 1, "there is no other way to allocate")

        var fresh = try make(depth: 8)
        let bytes = pattern(1 << 20)
        let inside = try fresh.perform(.write(file, from: IOBuffer(copying: bytes), at: 0)).outcome
        #expect(inside.bytes == 1 << 20)
        let read = try fresh.perform(.read(file, into: IOBuffer(capacity: 1 << 20), at: 0))
        var isRight = isEqual(read.buffer.bytes, bytes)
        #expect(isRight)
        let sync = try fresh.perform(.sync(file)).outcome
        #expect(sync.error == nil)
        #expect(helpers(fresh) == 0)

        // The second leaves a hole, the third fills it.
        for place in [1, 3, 2] {
            let outcome = try fresh.perform(
                .write(file, from: IOBuffer(copying: bytes), at: Int64(place) << 20)
            ).outcome
            #expect(outcome.bytes == 1 << 20)
        }
        #expect(helpers(fresh) >= 1, "it would have blocked inside io_submit")
        for place in 0..<4 {
            let read = try fresh.perform(
                .read(file, into: IOBuffer(capacity: 1 << 20), at: Int64(place) << 20))
            isRight = isEqual(read.buffer.bytes, bytes)
            #expect(isRight, "at \(place) MiB")
        }
    }

    @Test("reads that hit the page cache are done on the spot, cold ones are not")
    func buffered() throws {
        let size = 1 << 20
        let bytes = pattern(size)
        let file = try fileWith(bytes)
        #expect(fsync(file.rawValue) == 0)
        var loop = try make(depth: 8)
        for offset in stride(from: 0, to: size, by: 64 << 10) {
            let event = try loop.perform(
                .read(file, into: IOBuffer(capacity: 64 << 10), at: Int64(offset)))
            let isRight = isEqual(event.buffer.bytes, Array(bytes[offset..<offset + 64 << 10]))
            #expect(isRight)
        }
        #expect(helpers(loop) == 0)
        try makeCold(file, size: size, at: 512 << 10) {
            let event = try loop.perform(
                .read(file, into: IOBuffer(capacity: 64 << 10), at: 512 << 10))
            let isRight = isEqual(event.buffer.bytes, Array(bytes[512 << 10..<576 << 10]))
            #expect(isRight)
            return helpers(loop) == 1
        }
    }

    @Test("a sync that was given an offset is still a sync of the whole file")
    func syncWithAnOffset() throws {
        let file = try fileWith(pattern(4096))
        var loop = try make(depth: 2)
        for extent in [IOSyncExtent.data, .full] {
            var event = PulledEvent.sync(file, extent)
            event.restart(at: 4096)
            event = try loop.perform(event)
            #expect(event.errno == nil)
        }
    }

    @Test(
        "a thousand direct reads at depth 32 take at most 40 system calls",
        arguments: [false, true])
    func systemCalls(hasWaker: Bool) throws {
        let blocks = 1024
        let file = try openNew(TemporaryFolder.newPath("count"), direct: true)
        var loop = try make(depth: 32)
        if hasWaker { _ = loop.waker }
        let allocated = try loop.perform(.allocate(file, at: 0, length: blocks * 4096)).outcome
        #expect(allocated.error == nil)
        // The extents are on the device before the reads are counted.
        let synced = try loop.perform(.sync(file)).outcome
        #expect(synced.error == nil)
        var random = SeededRandom()
        var reads = 0
        var wrong = 0
        let before = loop.statistics
        for _ in 0..<32 {
            let offset = Int64.random(in: 0..<Int64(blocks), using: &random) * 4096
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: offset))
        }
        while reads < 8000 {
            _ = loop.wait(minimum: 32)
            loop.forEachFinished { event in
                reads += 1
                if event.errno != nil || event.transferred != 4096 { wrong += 1 }
                event.restart(at: Int64.random(in: 0..<Int64(blocks), using: &random) * 4096)
                return .submitAgain
            }
        }
        let calls = loop.statistics.systemCalls - before.systemCalls
        #expect(wrong == 0, "\(random.note)")
        #expect(
            Int(calls) * 1000 <= 40 * reads, "\(calls) calls for \(reads) reads; \(random.note)")
        let full = loop.statistics.fullQueues
        #expect(full == 0)
    }

    @Test("an IO priority is honoured or refused as the kernel does, direct or not")
    func priorities() throws {
        let path = TemporaryFolder.newPath("priority")
        let file = try fileWith(pattern(4096), at: path)
        let direct = try IODescriptor.open(FilePath(path), .readOnly, direct: true)
        var driver = try makeDriver(depth: 4)
        let memory = RawMemory(4096)
        let wanted: [(IOPriority, Int)] = [
            (.idle, 4096), (.bestEffort(level: 7), 4096), (.inherited, 4096),
            (IOPriority(rawValue: 5 << 13), -Int(EINVAL)), (.bestEffort(level: 0), 4096),
        ]
        for (priority, result) in wanted {
            for (slot, descriptor) in [file, direct].enumerated() {
                var request = IORequest(.read, UInt32(slot), descriptor.rawValue, memory)
                request.priority = priority
                try driver.mustStage(request)
            }
            let results = try driver.finish(2)
            #expect(results == [0: result, 1: result], "\(priority)")
        }
    }

    @Test(
        "on tmpfs everything small is done on the spot, direct or not",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: [false, true])
    func inMemory(isDirect: Bool) throws {
        let fileSystem = try #require(TestFileSystem.tmpfs)
        let file = try openNew(fileSystem.newPath("memory"), direct: isDirect)
        var loop = try make(depth: 4)
        let bytes = pattern(128 << 10)
        let write = try loop.perform(.write(file, from: IOBuffer(copying: bytes), at: 0)).outcome
        #expect(write.bytes == 128 << 10)
        let read = try loop.perform(.read(file, into: IOBuffer(capacity: 128 << 10), at: 0))
        let isRight = isEqual(read.buffer.bytes, bytes)
        #expect(isRight)
        #expect(helpers(loop) == 0)
    }

    @Test(
        "a wait for several ends when helpers have done them, whatever the kernel still has",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
    func mixed() throws {
        // A device whose writes wait in the kernel until the thaw.
        var device = ""
        let made = try FrozenFile(label: "aio-mixed") { path in
            let end = Command.run(["losetup", "--find", "--show", path])
            device = String(end.output.prefix { $0 != "\n" })
            try #require(end.status == 0, "\(end)")
        }
        guard let frozen = made else { return }
        defer {
            frozen.thaw()
            Command.run(["losetup", "--detach", device])
        }
        let disk = try IODescriptor.open(FilePath(device), .readWrite, direct: true)
        let fast = try openNew(try #require(TestFileSystem.tmpfs).newPath("fast"))
        let memory = RawMemory(4096)
        var driver = try makeDriver(depth: 3)
        try driver.mustStage(IORequest(.write, 0, disk.rawValue, memory))
        for _ in 0..<20 {
            #expect(ftruncate(fast.rawValue, 0) == 0)
            // Long enough for the wait to begin before they end.
            for slot in 1...2 {
                try driver.mustStage(
                    .plain(.allocate, UInt32(slot), fast.rawValue, length: slot * 2 << 20))
            }
            let results = try driver.finish(2)
            #expect(results == [1: 0, 2: 0])
        }
        frozen.thaw()
        let results = try driver.finish(1)
        #expect(results == [0: 4096])
    }

    @Test(
        "what is stuck in a frozen file system leaves other files alone",
        .enabled(if: TestFileSystem.isRoot, "only root may mount and freeze file systems"))
    func stuck() throws {
        try stuckWritesLeaveOthersAlone(label: "aio-stuck", threads: 4) {
            try makeDriver(depth: $0, .init(helperThreads: 4))
        }
    }

    @Test("idle helpers end, and come again")
    func idle() throws {
        let file = try openNew(TemporaryFolder.newPath("idle"))
        var driver = try makeDriver(depth: 4, .init(idleTime: .milliseconds(1)))
        for _ in 0..<3 {
            try driver.mustStage(.plain(.allocate, 0, file.rawValue, length: 4096))
            let results = try driver.finish(1)
            #expect(results == [0: 0])
            let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
            while driver.helperThreadCount > 0, IOInstant.monotonic() < deadline { sched_yield() }
            #expect(driver.helperThreadCount == 0)
        }
    }
}
