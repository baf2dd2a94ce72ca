import BasicContainers
import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// What callbacks may do, on the loop's thread and on workers: anything but wait for the engine.
@Suite struct CallbackTests {
    /// An event that is submitted again whenever it is finished, until the flag goes up.
    static func circle(
        _ turns: Counter, _ refusals: Counter, until isOver: Flag, _ latch: Latch
    ) -> TestEvent {
        .noOperation(
            callback: ClosureCallback { _, submitter in
                turns.add()
                if isOver.isUp { return latch.countDown() }
                let again = submitter.submit(circle(turns, refusals, until: isOver, latch))
                if !again.isAccepted {
                    refusals.add()
                    latch.countDown()
                }
            })
    }

    @Test("callbacks that submit for ever leave producers their turns", arguments: [0, 1, 3])
    func endlessCallbacks(_ workers: Int) throws {
        let context = try TestContext.make(depth: 4, try .with(workers: workers, queueCapacity: 4))
        let isOver = Flag()
        let (turns, refusals) = (Counter(), Counter())
        let ended = Latch(8)
        for _ in 0..<8 {
            try context.give(Self.circle(turns, refusals, until: isOver, ended))
        }
        let served = Latch(4 * 500)
        let producers = try (0..<4).map { _ in
            try TestThread {
                for _ in 0..<500 {
                    _ = context.submit(
                        .noOperation(callback: ClosureCallback { _ in served.countDown() }))
                }
            }
        }
        #expect(served.wait(), "\(served.remaining) of the producers' events are missing")
        for producer in producers { producer.join() }
        try context.drain()
        isOver.raise()
        #expect(ended.wait(), "\(ended.remaining) circles have not ended")
        #expect(refusals.value == 0, "the first submission of a callback always finds room")
        #expect(turns.value > 8)
        context.shutdown()
    }

    @Test("circles end with the context, while others submit", arguments: [0, 2])
    func endlessUntilShutdown(_ workers: Int) throws {
        for _ in 0..<20 {
            let context = try TestContext.make(
                depth: 4, try .with(workers: workers, queueCapacity: 4))
            let (turns, refusals) = (Counter(), Counter())
            let ended = Latch(8)
            for _ in 0..<8 {
                try context.give(Self.circle(turns, refusals, until: Flag(), ended))
            }
            let producer = try SteadyProducer(context)
            #expect(eventually { turns.value > 100 })
            context.shutdown()
            producer.stop()
            #expect(ended.remaining == 0, "each was refused once, with closed")
            #expect(refusals.value == 8)
        }
    }

    @Test(
        "further submissions of one callback may come back full, the first never",
        arguments: [0, 2])
    func furtherSubmissions(_ workers: Int) throws {
        let context = try TestContext.make(depth: 2, try .with(workers: workers, queueCapacity: 2))
        let accepted = Counter()
        let called = Counter()
        let first = Counter()
        let full = Counter()
        let latch = Latch(100)
        for _ in 0..<100 {
            try context.give(
                .noOperation(
                    callback: ClosureCallback { _, submitter in
                        for i in 0..<8 {
                            let answer = submitter.submit(
                                .noOperation(callback: ClosureCallback { _ in called.add() }))
                            if answer.isAccepted {
                                accepted.add()
                                if i == 0 { first.add() }
                            } else {
                                full.add()
                            }
                        }
                        latch.countDown()
                    }))
        }
        #expect(latch.wait(), "\(latch.remaining) are missing")
        context.shutdown()
        #expect(first.value == 100)
        #expect(full.value > 0, "the queue is small")
        #expect(accepted.value + full.value == 800)
        #expect(called.value == accepted.value)
    }

    @Test("every call of a context returns at once inside a callback", arguments: [0, 2])
    func callsInside(_ workers: Int) throws {
        let file = try newFile()
        let context = try TestContext.make(depth: 2, try .with(workers: workers, queueCapacity: 64))
        let other = try TestContext.make(depth: 2, try .with(workers: workers, queueCapacity: 64))
        let pool = try IOBufferPool(count: 2, bufferCapacity: 4096)
        let outcomes = Outcomes(40)
        let isChecked = Latch(2)
        let canGo = Latch()
        let tickets = LockedValue<[IOTicket]>([])
        for at in [context, other] {
            try context.give(
                .noOperation(
                    callback: ClosureCallback { _, submitter in
                        canGo.wait()
                        let deadlock = #expect(throws: IOError.self) { try at.drain() }
                        #expect(deadlock?.errno == .deadlock)
                        let closing = #expect(throws: IOError.self) { try at.close(file) }
                        #expect(closing?.errno == .deadlock)
                        #expect(!file.isClosed)
                        #expect(at.register(file) == .unavailable(errno: EDEADLK))
                        #expect(at.register(pool) == .unavailable(errno: EDEADLK))
                        #expect(!at.forget(file.fileDescriptor))
                        let snapshot = at.snapshot()
                        #expect(snapshot.inFlight >= 0 && snapshot.queued >= 0)
                        for ticket in tickets.withLock({ $0 }).prefix(10) { at.cancel(ticket) }
                        at.cancelAll(file)
                        // What was stopped has taken nothing of this callback's right.
                        #expect(submitter.submit(.noOperation()).isAccepted == true)
                        isChecked.countDown()
                    }))
        }
        for i in 0..<40 {
            let at = i % 2 == 0 ? context : other
            let ticket = try at.give(
                .write(
                    file, from: IOBuffer(zeroed: 512), at: Int64(i) * 512,
                    callback: outcomes.callback(i)))
            tickets.withLock { $0.append(ticket) }
        }
        canGo.countDown()
        #expect(isChecked.wait())
        let all = try outcomes.all()
        #expect(Set(all.map(\.number)) == Set(0..<40))
        for (_, outcome) in all { #expect(outcome.errno == nil || outcome.errno == .canceled) }
        context.shutdown()
        other.shutdown()
    }

    @Test("callbacks that cancel everything, each time again, come to an end", arguments: [0, 2])
    func cancelInside(_ workers: Int) throws {
        let context = try TestContext.make(depth: 2, try .with(workers: workers, queueCapacity: 64))
        let turns = Counter()
        let ended = Latch(60)
        @Sendable func again(_ left: Int) -> TestEvent {
            .noOperation(
                callback: ClosureCallback { _, submitter in
                    turns.add()
                    context.cancelAll()
                    if left == 0 { return ended.countDown() }
                    if !submitter.submit(again(left - 1)).isAccepted { ended.countDown() }
                    context.cancelAll()
                })
        }
        let block = try Blocked(context)
        for _ in 0..<60 { try context.give(again(50)) }
        block.release()
        #expect(ended.wait(), "\(ended.remaining) have not ended")
        #expect(turns.value == 60 * 51, "each submission found room")
        context.shutdown()
    }

    @Test(
        "two contexts whose callbacks submit into each other's full queues", arguments: [0, 1, 3])
    func pingPong(_ workers: Int) throws {
        // Shared, so that both contexts' callbacks compete for the same threads.
        var configuration = try IOContextConfiguration.with(workers: workers, queueCapacity: 2)
        configuration.idleSpin = .microseconds(5)
        let one = try TestContext.make(depth: 2, configuration)
        let two = try TestContext.make(depth: 2, configuration)
        let isOver = Flag()
        let (hops, full, ended) = (Counter(), Counter(), Latch(32))
        @Sendable func hop(_ here: TestContext, _ there: TestContext) -> TestEvent {
            .noOperation(
                callback: ClosureCallback { _, submitter in
                    hops.add()
                    if isOver.isUp { return ended.countDown() }
                    switch there.submit(hop(there, here)) {
                    case .accepted: break
                    case .closed: ended.countDown()
                    case .full:
                        // No place over there, and no waiting: this context's own is safe.
                        full.add()
                        if !submitter.submit(hop(here, there)).isAccepted { ended.countDown() }
                    }
                })
        }
        for _ in 0..<16 {
            try one.give(hop(one, two))
            try two.give(hop(two, one))
        }
        let wanted = Sanitizer.isThread ? 2_000 : 20_000
        #expect(eventually { hops.value > wanted }, "only \(hops.value) hops")
        isOver.raise()
        #expect(ended.wait(), "\(ended.remaining) have not ended")
        #expect(full.value > 0)
        one.shutdown()
        two.shutdown()
    }

    @Test("a callback that blocks on a worker holds up nobody else")
    func blockedWorker() throws {
        let context = try TestContext.make(depth: 8, try .with(workers: 2))
        let block = try Blocked(context)
        let outcomes = Outcomes(500)
        for i in 0..<500 { try context.give(.noOperation(callback: outcomes.callback(i))) }
        #expect(try outcomes.numbers().count == 500)
        #expect(eventually { context.snapshot().atWorkers == 1 })
        block.release()
        context.shutdown()
    }

    @Test("with all workers blocked the queue fills, and nothing is lost")
    func allWorkersBlocked() throws {
        let context = try TestContext.make(depth: 4, try .with(workers: 2, queueCapacity: 4))
        let blocks = try (0..<2).map { _ in try Blocked(context) }
        let called = Counter()
        var accepted = 0
        #expect(
            eventually {
                while context.trySubmit(
                    .noOperation(callback: ClosureCallback { _ in called.add() })
                ).isAccepted {
                    accepted += 1
                }
                // Two slots belong to the blocked callbacks, two to finished events, four wait.
                return accepted == 6
            }, "\(accepted) were accepted")
        let snapshot = context.snapshot()
        #expect(snapshot.queued == 4 && snapshot.atWorkers == 4, "\(snapshot)")
        #expect(called.value == 0)
        for block in blocks { block.release() }
        context.shutdown()
        #expect(called.value == accepted)
    }

    @Test("a busy loop is told from one that sleeps")
    func watchdog() throws {
        let context = try TestContext.make()
        let block = try Blocked(context)
        try context.give(.noOperation())
        let busy = context.snapshot(patience: .milliseconds(1))
        #expect(!busy.isResponsive && !busy.isSleeping && busy.queued == 1, "\(busy)")
        #expect(eventually { context.snapshot(patience: .zero).sinceLastCycle > .milliseconds(20) })
        block.release()
        try context.drain()
        let idle = context.snapshot(patience: .seconds(60))
        #expect(idle.isResponsive && idle.inFlight == 0 && idle.queued == 0, "\(idle)")
        #expect(eventually { context.snapshot(patience: .zero).isSleeping })
        context.shutdown()
    }
}

/// Goes on where it lies until a flag goes up, and counts.
private struct Runner: IOCallback {
    let turns: Counter
    let isOver: Flag
    let ended: Latch
    let refusals: Counter

    static func resubmits(_ event: inout IOEvent<Runner>) -> Bool {
        guard let runner = event.callback else { return false }
        runner.turns.add()
        if runner.isOver.isUp { return false }
        event.restart()
        return true
    }

    consuming func call(
        _ event: consuming IOEvent<Runner>, _ submitter: borrowing IOSubmitter<Runner>
    ) {
        if event.errno == .canceled { refusals.add() }
        ended.countDown()
    }
}

@Suite struct RunnerTests {
    private func read(
        _ file: IODescriptor, _ runner: Runner
    ) -> IOEvent<Runner> {
        .read(file, into: IOBuffer(capacity: 512), at: 0, callback: runner)
    }

    @Test("events that go on where they lie leave producers their turns, and syncs their place")
    func fairness() throws {
        let file = try fileWith(pattern(4096))
        let context = try IOContext<Runner, URingDriver>.make(
            depth: 4, try .with(queueCapacity: 4))
        let isOver = Flag()
        let ended = Latch(4)
        let runner = Runner(turns: Counter(), isOver: isOver, ended: ended, refusals: Counter())
        for _ in 0..<4 { #expect(context.submit(read(file, runner)).isAccepted == true) }
        let served = Latch(4 * 500)
        let quick = Flag()
        quick.raise()
        let producers = try (0..<4).map { _ in
            try TestThread {
                for i in 0..<500 {
                    let once = Runner(
                        turns: Counter(), isOver: quick, ended: served, refusals: Counter())
                    if i % 10 == 9 {
                        _ = context.submit(.sync(file, .data, callback: once))
                    } else {
                        _ = context.submit(
                            .read(file, into: IOBuffer(capacity: 512), at: 0, callback: once))
                    }
                }
            }
        }
        #expect(served.wait(), "\(served.remaining) of the producers' events are missing")
        for producer in producers { producer.join() }
        isOver.raise()
        #expect(ended.wait(), "\(ended.remaining) runners have not ended")
        #expect(runner.turns.value > 4 && runner.refusals.value == 0)
        context.shutdown()
    }

    @Test("they end with the context, each called once", arguments: [false, true])
    func shutdown(isCrowded: Bool) throws {
        let file = try fileWith(pattern(4096))
        for _ in 0..<20 {
            let context = try IOContext<Runner, URingDriver>.make(
                depth: 4, try .with(queueCapacity: 8))
            let ended = Latch(8)
            let runner = Runner(
                turns: Counter(), isOver: Flag(), ended: ended, refusals: Counter())
            for _ in 0..<(isCrowded ? 8 : 4) {
                #expect(context.submit(read(file, runner)).isAccepted == true)
            }
            #expect(eventually { runner.turns.value > 100 })
            context.shutdown()
            #expect(ended.remaining == (isCrowded ? 0 : 4))
        }
    }

    @Test("callbacks on workers are called, not asked")
    func workers() throws {
        let file = try fileWith(pattern(4096))
        let context = try IOContext<Runner, URingDriver>.make(depth: 4, try .with(workers: 2))
        let ended = Latch(100)
        let runner = Runner(turns: Counter(), isOver: Flag(), ended: ended, refusals: Counter())
        for _ in 0..<100 { #expect(context.submit(read(file, runner)).isAccepted == true) }
        #expect(ended.wait())
        #expect(runner.turns.value == 0)
        context.shutdown()
    }

    @Test("what the look at an event submits takes nothing of the event's own right")
    func right() throws {
        let file = try fileWith(pattern(4096))
        let context = try IOContext<Asker, URingDriver>.make(depth: 1)
        let shared = Asker.Shared(file)
        shared.context.withLock { $0 = context }
        #expect(
            context.submit(
                .read(
                    file, into: IOBuffer(capacity: 512), at: 0,
                    callback: Asker(shared: shared, left: 3))
            ).isAccepted == true)
        #expect(shared.ended.wait())
        shared.context.withLock { $0 = nil }
        context.shutdown()
        #expect(shared.refused.value == 4, "there is one slot, and the event has it")
        #expect(shared.cancelled.value == 0)
    }
}

/// Goes on where it lies a few times, and submits something else on the way.
private struct Asker: IOCallback {
    final class Shared: Sendable {
        let file: IODescriptor
        let context = LockedValue<IOContext<Asker, URingDriver>?>(nil)
        let ended = Latch(1)
        let refused = Counter()
        let cancelled = Counter()

        init(_ file: IODescriptor) { self.file = file }
    }

    let shared: Shared
    var left: Int

    static func resubmits(_ event: inout IOEvent<Asker>) -> Bool {
        guard let asker = event.callback,
            let context = asker.shared.context.withLock({ $0 })
        else { return false }
        let another = Asker(shared: asker.shared, left: -1)
        let outcome = context.trySubmit(
            .read(asker.shared.file, into: IOBuffer(capacity: 512), at: 0, callback: another))
        if !outcome.isAccepted { asker.shared.refused.add() }
        if asker.left <= 0 { return false }
        event.callback = Asker(shared: asker.shared, left: asker.left - 1)
        event.restart()
        return true
    }

    consuming func call(
        _ event: consuming IOEvent<Asker>, _ submitter: borrowing IOSubmitter<Asker>
    ) {
        if event.errno == .canceled { shared.cancelled.add() }
        if left == 0 { shared.ended.countDown() }
    }
}
