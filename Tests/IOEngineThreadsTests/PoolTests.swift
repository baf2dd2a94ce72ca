import CLinux
import Glibc
import IOEngineCore
import IOEngineThreads
import SystemPackage
import TestSupport
import Testing

/// What is the thread pool's own: who does what where, and how many.
@Suite struct PoolTests {
    @Test("depths and numbers of threads that make no sense are refused in a sentence")
    func settings() throws {
        for depth in [0, -1, 65_537] {
            let error = #expect(throws: IOError.self) {
                _ = try ThreadPoolDriver(depth: depth).capabilities
            }
            #expect(error?.errno == .invalidArgument)
            #expect(error?.advice.contains("65536") == true)
        }
        for threads in [0, -1, 5000] {
            let error = #expect(throws: IOError.self) {
                _ = try ThreadPoolDriver(depth: 1, configuration: .init(threads: threads))
                    .capabilities
            }
            #expect(error?.advice.contains("4096") == true)
        }
        let capabilities = try ThreadPoolDriver(depth: 65_536).capabilities
        #expect(capabilities.name == "threads" && capabilities.depth == 65_536)
        #expect(capabilities.actions == Set(IOAction.allCases))
    }

    /// A file that lies in the page cache.
    private func cached(_ count: Int) throws -> IODescriptor {
        let file = try fileWith(pattern(count))
        var bytes = [UInt8](repeating: 0, count: count)
        _ = try unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe try file.fileDescriptor.read(fromAbsoluteOffset: 0, into: bytes)
        }
        return file
    }

    @Test("a hit in the page cache costs no hop: one system call each, and no thread ever starts")
    func hits() throws {
        let size = 256 << 10
        let file = try cached(size)
        let depth = 32
        var loop = try IOLoop<NoCallback, ThreadPoolDriver>(
            depth: depth, driver: try ThreadPoolDriver(depth: depth))
        var random = SeededRandom()
        var reads = 0
        var wrong = 0
        for i in 0..<depth {
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: Int64(i) * 4096))
        }
        while reads < 4000 {
            _ = loop.wait(minimum: 1)
            loop.forEachFinished { event in
                reads += 1
                if event.errno != nil || event.transferred != 4096 { wrong += 1 }
                event.restart(at: Int64.random(in: 0..<Int64(size / 4096), using: &random) * 4096)
                return .submitAgain
            }
        }
        #expect(wrong == 0, "\(random.note)")
        let calls = loop.statistics.systemCalls
        #expect(calls <= UInt64(reads + depth), "\(calls) calls for \(reads) reads")
        let threads = loop.withDriver { $0.threadCount }
        #expect(threads == 0)
    }

    @Test("the end of a file is no reason to hop, and no read is cut short by it")
    func endOfFile() throws {
        let file = try cached(5000)
        var loop = try IOLoop<NoCallback, ThreadPoolDriver>(
            depth: 4, driver: try ThreadPoolDriver(depth: 4))
        for (offset, wanted) in [(0, 5000), (4096, 904), (5000, 0), (1 << 30, 0)] {
            let event = try loop.perform(
                .read(file, into: IOBuffer(capacity: 8192), at: Int64(offset)))
            let bytes = event.outcome.bytes
            #expect(bytes == wanted)
        }
        let threads = loop.withDriver { $0.threadCount }
        #expect(threads == 0)
    }

    @Test("a read of which only a part is in the page cache is whole all the same")
    func partlyCached() throws {
        let size = 1 << 20
        let bytes = pattern(size)
        let file = try fileWith(bytes)
        #expect(fsync(file.rawValue) == 0)
        var loop = try IOLoop<NoCallback, ThreadPoolDriver>(
            depth: 4, driver: try ThreadPoolDriver(depth: 4))
        for start in [0, 4096, 512 << 10] {
            try makeCold(file, size: size)
            #expect(posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_RANDOM) == 0)
            // One page of it is there.
            _ = try loop.perform(
                .read(file, into: IOBuffer(capacity: 4096), at: Int64(start))
            ).outcome
            let event = try loop.perform(
                .read(file, into: IOBuffer(capacity: 128 << 10), at: Int64(start)))
            let outcome = event.outcome
            #expect(outcome.bytes == 128 << 10 && outcome.isDone)
            let isRight = isEqual(
                event.buffer.bytes, Array(bytes[start..<start + 128 << 10]))
            #expect(isRight)
        }
    }

    @Test("no more threads than allowed start, and none stays when there is nothing to do")
    func threads() throws {
        let file = try openNew(TemporaryFolder.newPath("threads"), direct: true)
        let configuration = ThreadPoolConfiguration(threads: 3, idleTime: .milliseconds(1))
        var driver = try ThreadPoolDriver(depth: 32, configuration: configuration)
        #expect(driver.threadCount == 0, "none before there is something to do")
        let memory = RawMemory(4096)
        var most = 0
        for _ in 0..<20 {
            for slot in 0..<32 {
                try driver.mustStage(
                    IORequest(
                        .write, UInt32(slot), file.rawValue, memory, at: Int64(slot) * 4096))
            }
            _ = driver.submit(minimum: 0, deadline: nil)
            most = max(most, driver.threadCount)
            let results = try driver.finish(32)
            #expect(results.values.allSatisfy { $0 == 4096 })
        }
        #expect(most >= 1 && most <= 3)
        let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
        while driver.threadCount > 0, IOInstant.monotonic() < deadline { sched_yield() }
        #expect(driver.threadCount == 0)
        try driver.mustStage(.plain(.syncFull, 0, file.rawValue))
        let results = try driver.finish(1)
        #expect(results == [0: 0], "they come again")
    }

    @Test("an IO priority is set for its request only, and refused as the kernel refuses it")
    func priorities() throws {
        let file = try cached(4096)
        var driver = try ThreadPoolDriver(depth: 4, configuration: .init(threads: 1))
        let memory = RawMemory(4096)
        let wanted: [(IOPriority, Int)] = [
            (.idle, 4096), (.bestEffort(level: 7), 4096), (.inherited, 4096),
            (IOPriority(rawValue: 5 << 13), -Int(EINVAL)), (.bestEffort(level: 0), 4096),
        ]
        for (priority, result) in wanted {
            var request = IORequest(.read, 0, file.rawValue, memory)
            request.priority = priority
            try driver.mustStage(request)
            let results = try driver.finish(1)
            #expect(results == [0: result], "\(priority)")
            for action in [IOAction.syncFull, .syncData, .allocate] {
                var request = IORequest.plain(action, 0, file.rawValue, length: 4096)
                request.priority = priority
                try driver.mustStage(request)
                let results = try driver.finish(1)
                #expect(results == [0: 0], "only transfers have a priority")
            }
        }
    }

    @Test(
        "what is stuck in a frozen file system leaves other files alone",
        .enabled(if: TestFileSystem.isRoot, "only root may mount and freeze file systems"))
    func stuck() throws {
        try stuckWritesLeaveOthersAlone(label: "threads-stuck", threads: 4) {
            try ThreadPoolDriver(depth: $0, configuration: .init(threads: 4))
        }
    }

    @Test(
        "in memory everything small is done at once, on the loop's thread",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
    func inMemory() throws {
        let fileSystem = try #require(TestFileSystem.tmpfs)
        let file = try openNew(fileSystem.newPath("memory"))
        var loop = try IOLoop<NoCallback, ThreadPoolDriver>(
            depth: 4, driver: try ThreadPoolDriver(depth: 4))
        let bytes = pattern(128 << 10)
        let write = try loop.perform(.write(file, from: IOBuffer(copying: bytes), at: 0)).outcome
        #expect(write.bytes == 128 << 10)
        let read = try loop.perform(.read(file, into: IOBuffer(capacity: 128 << 10), at: 0))
        let isRight = isEqual(read.buffer.bytes, bytes)
        #expect(isRight)
        var threads = loop.withDriver { $0.threadCount }
        #expect(threads == 0)
        let large = try loop.perform(.write(file, from: IOBuffer(zeroed: 1 << 20), at: 0)).outcome
        #expect(large.bytes == 1 << 20)
        threads = loop.withDriver { $0.threadCount }
        #expect(threads == 1, "it would stall the loop")
    }

    @Test("threads have a name and every signal blocked")
    func nameAndSignals() throws {
        let file = try openNew(TemporaryFolder.newPath("signals"))
        var driver = try ThreadPoolDriver(depth: 1)
        try driver.mustStage(.plain(.syncFull, 0, file.rawValue))
        _ = try driver.finish(1)
        // All but those that cannot be blocked, the C library's own two (32 and 33), and what a
        // fault raises.
        let expected: UInt64 = 0xffff_fffe_7ffb_fa07
        // Other tests' threads have the same name. One that is ending may block more, or be gone.
        let masks = ThreadList.named("ioengine-pool").compactMap { thread in
            thread.status("SigBlk").flatMap { UInt64($0, radix: 16) }
        }
        #expect(masks.contains(expected), "the thread of this test waits for work")
        for mask in masks { #expect(mask & expected == expected) }
    }
}
