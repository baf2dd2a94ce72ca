import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// What a loop's waits say of wake-ups, and what ends them.
@Suite struct WakingTests {
    private typealias Loop = IOLoop<NoCallback, MockDriver>

    /// Moves a part of what was begun in the wait that somebody ends.
    private final class Parting: MockConductor {
        var waits = 0

        func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
            queue.take()
            waits += 1
            guard minimum > 0 else { return .ready }
            if queue.takeWakeUp() {
                while !queue.inFlight.isEmpty { queue.finish(at: 0, .moves(100)) }
                return .woken
            }
            let now = queue.device.now
            if let deadline, deadline > now {
                queue.device.advanceClock(by: .nanoseconds(deadline.nanoseconds(since: now)))
            }
            return .deadlinePassed
        }
    }

    @Test func aWakeUpEndsARunInWhichAPartFinished() throws {
        let device = MockDevice()
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        let conductor = Parting()
        var loop = try Loop(
            depth: 4, driver: device.makeDriver(depth: 4, conductor: conductor))
        let waker = loop.waker
        for minimum in [1, 2] {
            for _ in 0..<2 {
                _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: 0))
            }
            conductor.waits = 0
            waker.wake()
            let run = loop.run(minimum: minimum, deadline: loop.now.advanced(by: .seconds(1)))
            #expect(run.completed == 0 && run.outcome == .woken, "\(run)")
            #expect(conductor.waits == 1)
            // The continuations are still to be handed over.
            #expect(loop.statistics.continuations > 0)
            loop.cancelAll()
            var left = 0
            while loop.inFlight > 0, left < 100 {
                waker.wake()
                loop.run()
                left += 1
            }
            #expect(loop.inFlight == 0)
            _ = loop.wait(deadline: loop.now)
        }
    }

    /// Stops what is cancelled in the wait after that in which its deadline passed.
    private final class Lingering: MockConductor {
        var stopped: [IOToken] = []

        func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
            queue.take()
            if let token = stopped.popLast() {
                queue.finish(token, .fails(.canceled))
                return .ready
            }
            let now = queue.device.now
            if let deadline, deadline > now {
                queue.device.advanceClock(by: .nanoseconds(deadline.nanoseconds(since: now)))
            }
            return minimum > 0 ? .deadlinePassed : .ready
        }

        func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation {
            stopped.append(token)
            return .requested
        }
    }

    @Test func theLimitOfAnEventDoesNotEndARun() throws {
        let device = MockDevice()
        let file = device.makeFile(Array(repeating: 1, count: 100))
        var loop = try Loop(
            depth: 4, driver: device.makeDriver(depth: 4, conductor: Lingering()))
        let limits = IOLimits(deadline: loop.now.advanced(by: .milliseconds(1)))
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0), limits)
        let run = loop.run(minimum: 1, deadline: loop.now.advanced(by: .seconds(1)))
        #expect(run.completed == 1 && loop.now.nanoseconds == 1_000_000, "\(run)")
    }

    @Test func aDrainLeavesAWakeUpToTheNextWait() throws {
        let device = MockDevice()
        let file = device.makeFile(Array(repeating: 1, count: 100))
        var loop = try Loop(depth: 4, driver: device.makeDriver(depth: 4))
        let waker = loop.waker
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0))
        waker.wake()
        loop.drain()
        #expect(loop.inFlight == 0)
        #expect(loop.wait(deadline: loop.now.advanced(by: .seconds(1))) == .woken)
        #expect(loop.wait(deadline: loop.now.advanced(by: .seconds(1))) == .deadlinePassed)
    }

    @Test func handingOverLeavesAWakeUpToTheNextWait() throws {
        let device = MockDevice()
        var loop = try Loop(depth: 4, driver: device.makeDriver(depth: 4))
        let waker = loop.waker
        waker.wake()
        #expect(loop.wait(minimum: 0) == .ready)
        #expect(loop.run(minimum: 0).outcome == .ready)
        #expect(loop.wait(deadline: loop.now.advanced(by: .seconds(1))) == .woken)
    }

    @Test func anIdleLoopSleepsUntilItIsWokenIfItIsToldTo() throws {
        let device = MockDevice()
        let file = device.makeFile(Array(repeating: 1, count: 100))
        var loop = try Loop(depth: 4, driver: device.makeDriver(depth: 4))
        // Nothing could end it.
        #expect(loop.waitForAnything() == .failed(errno: Errno.deadlock.rawValue))
        #expect(loop.waitForAnything(deadline: .init(nanoseconds: 5)) == .deadlinePassed)
        let waker = loop.waker
        let thread = try TestThread { waker.wake() }
        #expect(loop.waitForAnything() == .woken)
        thread.join()
        // Whoever only waits for events does not sleep without any.
        #expect(loop.wait() == .ready && loop.run().outcome == .ready)
        // What is finished ends it as well.
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0))
        #expect(loop.waitForAnything() == .ready)
        #expect(loop.run(minimum: 0).completed == 1)
    }

    @Test func aGateTellsWakeUpsFromOtherEnds() {
        let gate = IOWakeGate()
        let soon = IOInstant.monotonic().advanced(by: .milliseconds(1))
        gate.endWait()
        #expect(gate.wait(until: soon) == .ready)
        #expect(gate.wait(until: soon) == .deadlinePassed)
        gate.endWait()
        gate.wake()
        #expect(gate.wait(until: soon) == .woken)
        #expect(gate.wait(until: soon) == .deadlinePassed, "one wait serves both")
        gate.wake()
        #expect(gate.takeWakeUp() && !gate.takeWakeUp())
    }
}
