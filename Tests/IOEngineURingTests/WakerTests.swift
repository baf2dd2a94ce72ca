import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Ending waits from other threads, and who may enter a ring.
@Suite struct WakerTests {
    /// Long after any wake-up: reaching it means that the wake-up was lost.
    private func far(_ driver: borrowing URingDriver) -> IOInstant {
        driver.now().advanced(by: .seconds(20))
    }

    @Test(
        "another thread ends a wait with nothing in flight, each time",
        arguments: URingConfiguration.Rung.allCases)
    func wakesFromAnotherThread(_ rung: URingConfiguration.Rung) throws {
        var driver = try URingDriver(depth: 4, configuration: .init(firstRung: rung))
        let waker = driver.waker
        let waits = Counter()
        let thread = try TestThread {
            // One wake-up a wait: the next comes when the wait before has ended.
            for round in 0..<200 {
                while waits.value < round { sched_yield() }
                waker.wake()
            }
        }
        for _ in 0..<200 {
            let outcome = driver.submit(minimum: 1, deadline: far(driver))
            waits.add()
            try #require(outcome == .woken, "the wake-up was lost")
            let count = driver.finished().count
            try #require(count == 0, "a wake-up is no completion")
        }
        thread.join()
    }

    @Test("a wake-up that comes first ends the next wait at once; several become one")
    func wakesBefore() throws {
        var driver = try URingDriver(depth: 4)
        let becomeOne = driver.wakeUpsBecomeOne()
        #expect(becomeOne, "all were used up")
    }

    @Test("a wake-up ends a wait for what never finishes, and takes no room")
    func wakesInFlight() throws {
        let pipe = try Pipe()
        var driver = try URingDriver(depth: 2)
        let waker = driver.waker
        let memory = RawMemory(64)
        try driver.mustStage(IORequest(.read, 0, pipe.readEnd.rawValue, memory))
        for _ in 0..<50 {
            waker.wake()
            #expect(driver.submit(minimum: 1, deadline: far(driver)) == .woken)
            #expect(driver.finished().isEmpty)
        }
        try driver.mustStage(.plain(.noOperation, 1))
        var results = try driver.finish(1)
        #expect(results == [1: 0])
        try pipe.write([1, 2])
        results = try driver.finish(1)
        #expect(results == [0: 2])
    }

    @Test(
        "with a full queue there is still room to listen, and nothing is lost", arguments: [1, 4])
    func listensWhenFull(_ depth: Int) throws {
        let file = try fileWith(pattern(4096))
        var driver = try URingDriver(depth: depth)
        let waker = driver.waker
        let memory = RawMemory(4096)
        for round in 0..<20 {
            if round % 3 == 0 { waker.wake() }
            for slot in 0..<depth {
                try driver.mustStage(IORequest(.read, UInt32(slot), file.rawValue, memory))
            }
            let results = try driver.finish(depth)
            #expect(results.values.allSatisfy { $0 == 4096 })
        }
        #expect(driver.counters.overflows == 0)
    }

    @Test("with submission polling the waker and the deadline end waits too")
    func polling() throws {
        let pipe = try Pipe()
        let configuration = URingConfiguration(submissionPolling: .init(idleMilliseconds: 1))
        var driver = try URingDriver(depth: 4, configuration: configuration)
        let waker = driver.waker
        let memory = RawMemory(64)
        try driver.mustStage(IORequest(.read, 0, pipe.readEnd.rawValue, memory))
        for _ in 0..<20 {
            waker.wake()
            #expect(driver.submit(minimum: 1, deadline: far(driver)) == .woken)
            #expect(driver.finished().isEmpty)
        }
        var signals = 2
        let isOver = driver.waitsInVain(milliseconds: 5, forgiving: &signals)
        #expect(isOver)
        driver.cancel(IOToken(slot: 0, generation: 1))
        let results = try driver.finish(1)
        #expect(results == [0: Int(-ECANCELED)])
        // Dropped with one in flight.
        try driver.mustStage(IORequest(.read, 1, pipe.readEnd.rawValue, memory))
        _ = driver.submit(minimum: 0, deadline: nil)
    }

    @Test("a waker outlives its driver, and a driver that listened ends promptly")
    func outlives() throws {
        let waker: IOWaker
        let loopWaker: IOWaker
        do {
            var driver = try URingDriver(depth: 2)
            waker = driver.waker
            waker.wake()
            _ = driver.submit(minimum: 1, deadline: far(driver))
            // Listens again, without being woken.
            _ = driver.submit(minimum: 1, deadline: driver.now().advanced(by: .milliseconds(1)))
            let loop = try PulledLoop.make()
            loopWaker = loop.waker
        }
        for _ in 0..<3 {
            waker.wake()
            loopWaker.wake()
        }
    }

    @Test("a loop's wait returns early when woken, and finishes nothing")
    func loopWakes() throws {
        var loop = try PulledLoop.make()
        let waker = loop.waker
        waker.wake()
        let outcome = loop.wait(minimum: 1, deadline: loop.now.advanced(by: .seconds(20)))
        #expect(outcome == .woken)
        let event = loop.next()
        let isNone = event == nil
        #expect(isNone)
    }

    @Test(
        "a wake-up that the ring reads between two waits ends the next one",
        arguments: URingConfiguration.Rung.allCases)
    func wakesBetweenWaits(_ rung: URingConfiguration.Rung) throws {
        var loop = try IOLoop<NoCallback, URingDriver>(
            depth: 4, driver: URingDriver(depth: 4, configuration: .init(firstRung: rung)))
        let waker = loop.waker
        // Begins to listen.
        _ = loop.wait(minimum: 1, deadline: loop.now.advanced(by: .milliseconds(1)))
        waker.wake()
        #expect(loop.wait(minimum: 0) == .ready)
        let isNone = loop.next() == nil
        #expect(isNone)
        let deadline = loop.now.advanced(by: .seconds(20))
        #expect(loop.wait(minimum: 1, deadline: deadline) == .woken)
        // With nothing in flight and no deadline, too.
        waker.wake()
        #expect(loop.wait(minimum: 0) == .ready)
        #expect(loop.waitForAnything() == .woken)
    }

    @Test("entering a single-issuer ring from another thread is a failure, nothing is lost")
    func otherThread() throws {
        let driver = UnsafeMutablePointer<URingDriver>.allocate(capacity: 1)
        unsafe driver.initialize(to: try URingDriver(depth: 4))
        defer {
            unsafe driver.deinitialize(count: 1)
            unsafe driver.deallocate()
        }
        let setUp = unsafe driver.pointee.capabilities.setUp
        try #require(setUp.contains("single issuer"), "this kernel has single issuer")
        try unsafe driver.pointee.mustStage(.plain(.noOperation, 0))
        let address = UInt(bitPattern: driver)
        let answer = Slot<IOWaitOutcome>()
        try TestThread {
            let driver = unsafe UnsafeMutablePointer<URingDriver>(bitPattern: address)
                .unsafelyUnwrapped
            answer.put(unsafe driver.pointee.submit(minimum: 0, deadline: nil))
        }.join()
        let outcome = try answer.take()
        // EEXIST; EINVAL where the ring's descriptor is registered, which is by thread.
        #expect([.failed(errno: EEXIST), .failed(errno: EINVAL)].contains(outcome))
        let results = try unsafe driver.pointee.finish(1)
        #expect(results == [0: 0], "what was staged is still staged")
    }
}
