import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// The driver without a loop: room, waiting, waking, cancelling, dropping.
@Suite struct RawDriverTests {
    @Test("stage answers full at the depth, and takes again what was reaped, not what is finished")
    func room() throws {
        let file = try fileWith(pattern(4096))
        var driver = try URingDriver(depth: 4)
        let memory = RawMemory(4096)
        for slot in 0..<4 {
            try driver.mustStage(IORequest(.read, UInt32(slot), file.rawValue, memory))
        }
        #expect(driver.stage(IORequest(.read, 4, file.rawValue, memory)) == .full)
        #expect(driver.submit(minimum: 4, deadline: nil) == .ready)
        #expect(driver.stage(IORequest(.read, 4, file.rawValue, memory)) == .full)
        #expect(driver.finished(most: 1).count == 1)
        #expect(driver.stage(IORequest(.read, 4, file.rawValue, memory)) == .queued)
        #expect(driver.stage(IORequest(.read, 5, file.rawValue, memory)) == .full)
        let results = try driver.finish(4)
        #expect(results.count == 4)
        #expect(driver.finished().isEmpty)
    }

    @Test("a no-operation, both syncs, an allocate and a write answer as the kernel does")
    func actions() throws {
        let file = try fileWith([])
        var driver = try URingDriver(depth: 8)
        let memory = RawMemory(512, byte: 3)
        try driver.mustStage(.plain(.noOperation, 0))
        try driver.mustStage(.plain(.syncFull, 1, file.rawValue))
        try driver.mustStage(.plain(.syncData, 2, file.rawValue))
        try driver.mustStage(.plain(.allocate, 3, file.rawValue, offset: 8192, length: 8192))
        try driver.mustStage(IORequest(.write, 4, file.rawValue, memory, at: 100))
        try driver.mustStage(.plain(.syncFull, 5, 999_999))
        let results = try driver.finish(6)
        #expect(results == [0: 0, 1: 0, 2: 0, 3: 0, 4: 512, 5: Int(-EBADF)])
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size == 16384)
    }

    @Test("a deadline ends a wait, with nothing in flight and with what never finishes")
    func deadlines() throws {
        let pipe = try Pipe()
        var driver = try URingDriver(depth: 4)
        let start = driver.now()
        var signals = 2
        let isOverAlone = driver.waitsInVain(milliseconds: 5, forgiving: &signals)
        #expect(isOverAlone)
        let memory = RawMemory(64)
        try driver.mustStage(IORequest(.read, 0, pipe.readEnd.rawValue, memory))
        let isOver = driver.waitsInVain(milliseconds: 5, forgiving: &signals)
        #expect(isOver)
        // In the past, and far away with nothing to wait for.
        #expect(driver.submit(minimum: 1, deadline: start) == .deadlinePassed)
        #expect(driver.submit(minimum: 0, deadline: start.advanced(by: .seconds(100))) == .ready)
        try pipe.write([1])
        let results = try driver.finish(1)
        #expect(results == [0: 1])
    }

    @Test("cancelling a read of an empty pipe gives ECANCELED, staged or in flight")
    func cancel() throws {
        let pipe = try Pipe()
        var driver = try URingDriver(depth: 4)
        let memory = RawMemory(64, byte: 9)
        try driver.mustStage(IORequest(.read, 0, pipe.readEnd.rawValue, memory))
        driver.cancel(IOToken(slot: 0, generation: 1))
        var results = try driver.finish(1)
        #expect(results == [0: Int(-ECANCELED)])
        try driver.mustStage(IORequest(.read, 1, pipe.readEnd.rawValue, memory))
        #expect(driver.submit(minimum: 0, deadline: nil) == .ready)
        driver.cancel(IOToken(slot: 1, generation: 1))
        results = try driver.finish(1)
        #expect(results == [1: Int(-ECANCELED)])
        try pipe.write([1])
        #expect(pipe.bytesInside == 1 && memory.isAll(9))
    }

    @Test("cancellations of what is not there, and more of them than fit, harm nobody")
    func staleCancels() throws {
        let file = try fileWith(pattern(4096))
        let pipe = try Pipe()
        var driver = try URingDriver(depth: 4)
        let memory = RawMemory(4096)
        let other = RawMemory(64)
        for i in 0..<100 { driver.cancel(IOToken(slot: UInt32(i % 4), generation: 77)) }
        // Cancellations share the submission queue until they are submitted.
        #expect(driver.submit(minimum: 0, deadline: nil) == .ready)
        for slot in 0..<3 {
            try driver.mustStage(IORequest(.read, UInt32(slot), file.rawValue, memory))
        }
        try driver.mustStage(IORequest(.read, 3, pipe.readEnd.rawValue, other))
        for _ in 0..<100 { driver.cancel(IOToken(slot: 2, generation: 76)) }
        var results = try driver.finish(3)
        #expect(results == [0: 4096, 1: 4096, 2: 4096])
        for _ in 0..<100 { driver.cancel(IOToken(slot: 3, generation: 1)) }
        results = try driver.finish(1)
        #expect(results == [3: Int(-ECANCELED)])
        // All room is back.
        for slot in 0..<4 {
            try driver.mustStage(IORequest(.read, UInt32(slot), file.rawValue, memory))
        }
        results = try driver.finish(4)
        #expect(results.values.allSatisfy { $0 == 4096 })
        #expect(driver.counters.overflows == 0)
    }

    @Test(
        "dropped with reads in flight it returns promptly and leaves memory and pipe alone",
        arguments: [0, 1, 4], [false, true])
    func drop(_ submitted: Int, staged: Bool) throws {
        let pipe = try Pipe()
        let memory = RawMemory(4 * 64, byte: 5)
        let start = IOInstant.monotonic()
        do {
            var driver = try URingDriver(depth: 4)
            for slot in 0..<4 where slot < submitted || staged {
                try driver.mustStage(
                    IORequest(
                        .read, UInt32(slot), pipe.readEnd.rawValue, memory, place: slot * 64,
                        count: 64))
                if slot + 1 == submitted { _ = driver.submit(minimum: 0, deadline: nil) }
            }
        }
        let took = IOInstant.monotonic().nanoseconds(since: start)
        #expect(took < 5_000_000_000, "it waited for what never comes: \(took) ns")
        try pipe.write([1, 2, 3])
        #expect(pipe.bytesInside == 3, "nobody reads any more")
        #expect(memory.isAll(5))
    }

    @Test("dropped with writes in flight it waits until they are in the file")
    func dropWrites() throws {
        let file = try fileWith([])
        let memory = RawMemory(1 << 20, byte: 8)
        do {
            var driver = try URingDriver(depth: 16)
            for slot in 0..<16 {
                try driver.mustStage(
                    IORequest(.write, UInt32(slot), file.rawValue, memory, at: Int64(slot) << 20))
            }
            _ = driver.submit(minimum: 0, deadline: nil)
        }
        // Whatever was not cancelled reads the memory no more: it may change and end.
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size % (1 << 20) == 0)
    }

    @Test("more completions than the span holds stay for the next reap")
    func smallReaps() throws {
        var driver = try URingDriver(depth: 32)
        for slot in 0..<32 { try driver.mustStage(.plain(.noOperation, UInt32(slot))) }
        #expect(driver.submit(minimum: 32, deadline: nil) == .ready)
        var slots: Set<UInt32> = []
        for _ in 0..<11 {
            for completion in driver.finished(most: 3) { slots.insert(completion.token.slot) }
        }
        #expect(slots.count == 32)
        #expect(driver.finished().isEmpty)
    }
}
