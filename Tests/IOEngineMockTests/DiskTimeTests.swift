import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// The virtual clock, latencies, and what ends a wait.
@Suite struct DiskTimeTests {
    func disk(_ latency: SimulatedLatency, seed: UInt64 = 1) -> SimulatedDisk {
        var configuration = SimulatedDisk.Configuration(seed: seed)
        configuration.readLatency = latency
        configuration.writeLatency = latency
        configuration.syncLatency = latency
        return SimulatedDisk(configuration)
    }

    @Test func theClockStandsStillUntilSomethingIsWaitedFor() throws {
        let disk = disk(.fixed(.milliseconds(3)))
        let file = try disk.open("f", options: .create)
        var loop = try disk.makeLoop()
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 1), at: 0))
        loop.handOver()
        #expect(disk.now.nanoseconds == 0 && loop.next() == nil)
        let early = IOInstant(nanoseconds: 1_000_000)
        #expect(loop.wait(deadline: early) == .deadlinePassed)
        #expect(disk.now == early && loop.now == early)
        #expect(loop.wait() == .ready)
        #expect(disk.now.nanoseconds == 3_000_000)
        let done = loop.next() != nil
        #expect(done)
        // In the past, and with nothing in flight.
        #expect(loop.wait(deadline: early) == .deadlinePassed)
        #expect(disk.now.nanoseconds == 3_000_000)
        #expect(loop.wait(deadline: IOInstant(nanoseconds: 9_000_000)) == .deadlinePassed)
        #expect(disk.now.nanoseconds == 9_000_000)
    }

    @Test func pollingComesToAnEnd() throws {
        let disk = disk(.fixed(.microseconds(50)))
        let file = try disk.open("f", options: .create)
        var loop = try disk.makeLoop()
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 1), at: 0))
        var polls = 0
        while loop.inFlight > 0, polls < 1000 {
            loop.handOver()
            polls += 1
            _ = loop.next()
        }
        #expect(polls == 51 && disk.now.nanoseconds == 50_000)
    }

    @Test func latenciesHaveTheirMinimumMeanAndTail() throws {
        func times(_ latency: SimulatedLatency) throws -> [Int64] {
            let disk = disk(latency)
            let file = try disk.open("f", options: .create)
            var loop = try disk.makeLoop()
            var last: Int64 = 0
            return try (0..<4000).map { _ in
                _ = try loop.read(file, 1, at: 0)
                defer { last = disk.now.nanoseconds }
                return disk.now.nanoseconds - last
            }
        }
        #expect(try times(.fixed(.microseconds(7))).allSatisfy { $0 == 7000 })
        #expect(try times(.none).allSatisfy { $0 == 0 })
        let drawn = try times(.exponential(minimum: .microseconds(10), mean: .microseconds(90)))
        let mean = drawn.reduce(0, +) / Int64(drawn.count)
        #expect(drawn.min() ?? 0 >= 10_000 && mean > 95_000 && mean < 105_000)
        let median = drawn.sorted()[drawn.count / 2]
        // 10 + 90 ln 2.
        #expect(median > 66_000 && median < 80_000)
        let tail = try times(
            .longTail(minimum: .microseconds(10), mean: .zero, oneIn: 100, factor: 50))
        let slow = tail.filter { $0 == 500_000 }.count
        #expect(slow > 15 && slow < 80 && tail.allSatisfy { $0 == 10_000 || $0 == 500_000 })
    }

    @Test func whatIsDueTogetherComesInADrawnOrder() throws {
        func order(_ seed: UInt64) throws -> [UInt32] {
            let disk = disk(.fixed(.microseconds(5)), seed: seed)
            _ = try disk.open("f", options: .create)
            var loop = try disk.makeLoop()
            for _ in 0..<16 { _ = loop.submit(.noOperation()) }
            _ = loop.wait(minimum: 16)
            return disk.journal.filter { $0.kind == .completed }.map { $0.token.slot }
        }
        let first = try order(1)
        #expect(first.sorted() == Array(0..<16) && first != Array(0..<16))
        #expect(try order(1) == first)
        #expect(try order(2) != first)
    }

    @Test func aWakeUpEndsAWaitFromAnotherThread() throws {
        let disk = SimulatedDisk(seed: 1)
        var loop = try disk.makeLoop()
        let waker = loop.waker
        for _ in 0..<3 { waker.wake() }
        #expect(loop.wait(minimum: 1, deadline: .init(nanoseconds: .max)) == .woken)
        #expect(disk.now.nanoseconds == 0)
        #expect(loop.wait(minimum: 1, deadline: .init(nanoseconds: 5)) == .deadlinePassed)
        waker.wake()
        var driver = disk.makeDriver(depth: 1)
        let other = driver.waker
        other.wake()
        #expect(driver.submit(minimum: 1, deadline: nil) == .woken)
    }

    @Test func waitingForWhatNeverComesIsAFailureAndNoHang() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.open("f", options: .create)
        disk.add(.stuck(IOFault.reads, canBeCancelled: false))
        var abandoned = false
        do {
            var loop = try IOLoop<ClosureCallback, SimulatedDiskDriver>(
                depth: 4, driver: disk.makeDriver(depth: 4))
            nonisolated(unsafe) var settled = true
            _ = loop.submit(
                .read(
                    file, into: IOBuffer(capacity: 1), at: 0,
                    callback: ClosureCallback { event in unsafe settled = event.isSettled }))
            #expect(loop.wait() == .failed(errno: Errno.deadlock.rawValue))
            _ = consume loop
            abandoned = unsafe !settled
        }
        #expect(abandoned)
    }

    @Test func severalDriversShareFilesAndClock() throws {
        let disk = disk(.fixed(.milliseconds(1)))
        let file = try disk.open("f", options: .create)
        var one = try disk.makeLoop()
        var two = try disk.makeLoop()
        _ = two.submit(.write(file, from: IOBuffer(copying: [5]), at: 0))
        two.handOver()
        _ = try one.finish(.noOperation())
        _ = try one.read(file, 1, at: 0)
        #expect(disk.now.nanoseconds == 1_000_000)
        // The time that one waited passed for two as well.
        let isDone = two.next() != nil
        #expect(isDone && disk.contents(of: "f") == [5])
    }
}
