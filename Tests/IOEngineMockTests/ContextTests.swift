import IOEngineCore
import IOEngineMock
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Under a context, on a thread of its own: waking, idling, crashing.
@Suite struct ContextTests {
    typealias DiskContext = IOContext<ClosureCallback, SimulatedDiskDriver>

    /// Counts what ends, and lets a thread wait for the last.
    final class Ends: Sendable {
        private let reasons = LockedValue<[IOError.Reason?]>([])
        private let gate = IOWakeGate()
        private let wanted: Int

        init(_ wanted: Int) { self.wanted = wanted }

        func note(_ event: borrowing IOEvent<ClosureCallback>) {
            var reason: IOError.Reason?
            if case .failure(let error) = event.result { reason = error.reason }
            let count = reasons.withLock { reasons in
                reasons.append(reason)
                return reasons.count
            }
            if count == wanted { gate.wake() }
        }

        var soFar: [IOError.Reason?] { reasons.withLock { $0 } }

        /// Waits for the last, ages at most.
        func all() -> [IOError.Reason?] {
            _ = gate.wait(until: .monotonic().advanced(by: .seconds(20)))
            return soFar
        }
    }

    @Test func aContextWorksOnASimulatedDisk() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.open("f", options: .create)
        let context = try DiskContext(depth: 8) { disk.makeDriver(depth: 8) }
        for round in 0..<20 {
            let ends = Ends(16)
            for i in 0..<16 {
                _ = context.submit(
                    IOEvent.write(
                        file, from: IOBuffer(copying: filled(UInt8(round), 700)),
                        at: Int64(i * 1000)
                    ).onCompletion { ends.note($0) })
            }
            #expect(ends.all() == Array(repeating: nil, count: 16))
        }
        context.shutdown()
        #expect(disk.contents(of: "f")?.count == 15_700)
        guard case .closed = context.submit(.noOperation()) else {
            Issue.record("must be closed")
            return
        }
    }

    @Test func deadlinesOfAContextRunOnTheDisksClock() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.open("f", options: .create)
        disk.add(.stuck(IOFault.reads))
        let context = try DiskContext(depth: 8) { disk.makeDriver(depth: 8) }
        let ends = Ends(1)
        // A day of the disk's, at once.
        let limits = IOLimits(deadline: IOInstant(nanoseconds: 86_400_000_000_000))
        _ = context.submit(
            IOEvent.read(file, into: IOBuffer(capacity: 8), at: 0).onCompletion { ends.note($0) },
            limits)
        #expect(ends.all().count == 1)
        #expect(disk.now.nanoseconds >= 86_400_000_000_000)
        context.shutdown()
    }

    @Test func aCrashUnderAContextEndsEverythingAndClosesIt() throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.open("f", options: .create)
            let context = try DiskContext(depth: 4) { disk.makeDriver(depth: 4) }
            disk.crash(afterStep: Int(seed))
            let ends = Ends(32)
            var accepted = 0
            for i in 0..<32 {
                switch context.submit(
                    IOEvent.write(file, from: IOBuffer(zeroed: 64), at: Int64(i * 64))
                        .onCompletion { ends.note($0) })
                {
                case .accepted: accepted += 1
                case .full: Issue.record("submit waits for a place")
                case .closed: break
                }
            }
            context.shutdown()
            let reasons = accepted == 32 ? ends.all() : ends.soFar
            #expect(reasons.count == accepted, "seed \(seed)")
            #expect(reasons.allSatisfy { $0 == nil || $0 == .crashed || $0 == .kernel })
            #expect(reasons.contains(.crashed), "seed \(seed): \(reasons)")
        }
    }

    @Test func aMockUnderAContextIsReleasedFromOutside() throws {
        let device = MockDevice()
        let file = device.makeFile(filled(3, 100))
        device.answer(IOFault.reads, with: .isHeld)
        let context = try IOContext<ClosureCallback, MockDriver>(depth: 4) {
            device.makeDriver(depth: 4)
        }
        let ends = Ends(2)
        for _ in 0..<2 {
            _ = context.submit(
                IOEvent.read(file, into: IOBuffer(capacity: 8), at: 0)
                    .onCompletion { ends.note($0) })
        }
        device.release()
        #expect(ends.all() == [nil, nil])
        context.shutdown()
        #expect(device.violations.isEmpty)
    }

    @Test("a snapshot of a busy loop tells how long in real time, whatever the driver's clock")
    func busySnapshotOnAVirtualClock() throws {
        let device = MockDevice()
        let context = try IOContext<ClosureCallback, MockDriver>(depth: 4) {
            device.makeDriver(depth: 4)
        }
        let isIn = Latch()
        let letGo = Latch()
        context.submit(
            .noOperation(
                callback: ClosureCallback { _ in
                    isIn.countDown()
                    letGo.wait()
                })
        ).orCancel()
        #expect(isIn.wait())
        let busy = context.snapshot(patience: .zero)
        #expect(!busy.isResponsive)
        #expect(busy.sinceLastCycle < .seconds(60), "\(busy)")
        letGo.countDown()
        context.shutdown()
    }

    /// Fails for ever once it is told to.
    final class Dying: MockConductor, Sendable {
        let isDead = Flag()
        let submits = Counter()

        func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
            submits.add()
            if isDead.isUp { return .failed(errno: Errno.ioError.rawValue) }
            return queue.submit(minimum: minimum, deadline: deadline)
        }
    }

    @Test("a context whose driver has died sleeps while a callback on a worker runs")
    func deadDriverAndBusyWorker() throws {
        let device = MockDevice()
        let dying = Dying()
        var configuration = IOContextConfiguration()
        configuration.workers = try IOWorkers(count: 1)
        let context = try IOContext<ClosureCallback, MockDriver>(
            depth: 4, configuration: configuration
        ) {
            device.makeDriver(depth: 4, conductor: dying)
        }
        let isIn = Latch()
        let letGo = Latch()
        context.submit(
            .noOperation(
                callback: ClosureCallback { _ in
                    isIn.countDown()
                    letGo.wait()
                })
        ).orCancel()
        #expect(isIn.wait())
        dying.isDead.raise()
        // Wakes the loop, until it takes nothing any more.
        while case .accepted = context.trySubmit(.noOperation()) {}
        #expect(eventually { context.trySubmit(.noOperation()).orCancel() == nil })
        let before = dying.submits.value
        let end = IOInstant.monotonic().advanced(by: .milliseconds(100))
        while IOInstant.monotonic() < end {}
        let count = dying.submits.value - before
        #expect(count < 100, "\(count) times round in 100 ms")
        // It can be asked, and still hears of the end.
        #expect(context.snapshot(patience: .seconds(60)).isResponsive)
        letGo.countDown()
        context.shutdown()
        #expect(context.snapshot().hasEnded)
    }
}
