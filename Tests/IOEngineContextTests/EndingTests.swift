import BasicContainers
import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Ends of contexts, wherever they come from.
@Suite struct EndingTests {
    @Test(
        "a shutdown finishes what was accepted; afterwards everything answers at once",
        arguments: [0, 2])
    func shutdown(_ workers: Int) throws {
        let file = try newFile()
        let context = try TestContext.make(depth: 4, try .with(workers: workers))
        let outcomes = Outcomes(200)
        var tickets: [IOTicket] = []
        for i in 0..<200 {
            tickets.append(
                try context.give(
                    .write(
                        file, from: IOBuffer(zeroed: 512), at: Int64(i) * 512,
                        callback: outcomes.callback(i))))
        }
        context.shutdown()
        #expect(outcomes.latch.remaining == 0, "every callback has returned")
        #expect(try outcomes.all().allSatisfy { $0.outcome.bytes == 512 })

        #expect(context.submit(.noOperation()).name == "closed")
        #expect(context.trySubmit(.noOperation()).name == "closed")
        var events = batch(3) { _ in .noOperation() }
        #expect(context.trySubmit(contentsOf: &events).isEmpty)
        context.submit(contentsOf: &events)
        let left = events.count
        #expect(left == 3)
        #expect(context.submit(chain: batch(3) { _ in .noOperation() }).name == "closed")
        #expect(context.cancel(tickets[0]) == .unknown)
        #expect(context.cancelAll() == 0)
        try context.drain()
        #expect(context.snapshot().inFlight == 0)
        #expect(context.register(file) == .unavailable(errno: ECANCELED))
        context.shutdown()
        let again = context.shutdown(deadline: .monotonic())
        #expect(again.isComplete && again.unsettled == 0)
        try context.close(file)
    }

    @Test("many threads may shut a context down at once", arguments: [0, 2])
    func together(_ workers: Int) throws {
        for round in 0..<50 {
            let context = try TestContext.make(depth: 4, try .with(workers: workers))
            let called = Counter()
            for _ in 0..<30 {
                try context.give(.noOperation(callback: ClosureCallback { _ in called.add() }))
            }
            let seen = LockedValue<[Int]>([])
            let threads = try (0..<4).map { number in
                try TestThread {
                    if (number + round) % 2 == 0 {
                        context.shutdown()
                    } else {
                        let far = IOInstant.monotonic().advanced(by: .seconds(60))
                        _ = context.shutdown(deadline: far)
                    }
                    seen.withLock { $0.append(called.value) }
                }
            }
            for thread in threads { thread.join() }
            #expect(seen.withLock { $0 } == [30, 30, 30, 30])
        }
    }

    @Test(
        "the last reference may go in a callback; the thread then ends by itself",
        arguments: [0, 2])
    func lastReference(_ workers: Int) throws {
        let name = "last-\(workers)"
        let called = Counter()
        do {
            let holder = Slot<TestContext>()
            let context = try TestContext.make(
                depth: 4, try .with(workers: workers, name: name))
            #expect(ThreadList.named(name).count == 1)
            let isDropped = Latch()
            let canGo = Latch()
            try context.give(
                .noOperation(
                    callback: ClosureCallback { event, submitter in
                        canGo.wait()
                        var last = try? holder.take()
                        #expect(last != nil)
                        last = nil
                        // Ended, but for what was accepted.
                        let late = submitter.submit(.noOperation())
                        if late.name == "closed" { called.add() }
                        isDropped.countDown()
                    }))
            for _ in 0..<20 {
                try context.give(.noOperation(callback: ClosureCallback { _ in called.add() }))
            }
            holder.put(context)
            _ = consume context
            canGo.countDown()
            #expect(isDropped.wait())
        }
        #expect(eventually { ThreadList.named(name).isEmpty }, "the thread is still there")
        #expect(called.value == 21)
    }

    @Test("a callback may shut its context down", arguments: [0, 2])
    func shutDownInside(_ workers: Int) throws {
        let name = "inside-\(workers)"
        let context = try TestContext.make(depth: 4, try .with(workers: workers, name: name))
        let outcomes = Outcomes(31)
        let canGo = Latch()
        for i in 0..<31 {
            try context.give(
                .noOperation(
                    callback: ClosureCallback { event, submitter in
                        if i == 0 {
                            canGo.wait()
                            context.shutdown()
                            _ = context.shutdown(deadline: .monotonic().advanced(by: .seconds(60)))
                        }
                        if i == 30 || i == 0 {
                            #expect(submitter.submit(.noOperation()).name == "closed")
                            #expect(context.submit(.noOperation()).name == "closed")
                        }
                        outcomes.add(i, event)
                    }))
        }
        canGo.countDown()
        #expect(try outcomes.all().count == 31)
        context.shutdown()
        #expect(eventually { ThreadList.named(name).isEmpty })
    }

    @Test(
        "nothing slips in behind a shutdown: what is accepted is called back, what is not comes back"
    )
    func atomicIntake() throws {
        for round in 0..<100 {
            let context = try TestContext.make(
                depth: 2, try .with(workers: round % 3, queueCapacity: 4))
            let accepted = Counter()
            let called = Counter()
            let started = Latch(4)
            let threads = try (0..<4).map { number in
                try TestThread {
                    started.countDown()
                    while true {
                        let callback = ClosureCallback { _ in called.add() }
                        if number == 3 {
                            let chain = batch(3) { _ in .noOperation(callback: callback) }
                            switch context.submit(chain: chain) {
                            case .accepted(let tickets): accepted.add(tickets.count)
                            case .closed(let back):
                                let count = back.count
                                #expect(count == 3)
                                return
                            case .full: return
                            case .tooLong: return
                            }
                            continue
                        }
                        switch context.submit(.noOperation(callback: callback)) {
                        case .accepted: accepted.add()
                        case .closed(let back):
                            let isThere = back.callback != nil
                            #expect(isThere, "it comes back uncalled")
                            return
                        case .full: return
                        }
                    }
                }
            }
            started.wait()
            if round % 2 == 0 { _ = context.snapshot() }
            context.shutdown()
            let calledThen = called.value
            for thread in threads { thread.join() }
            #expect(called.value == accepted.value)
            #expect(calledThen == called.value, "nothing is called after the shutdown")
        }
    }

    @Test("after the end a snapshot has the last numbers", arguments: [0, 2])
    func lastSnapshot(_ workers: Int) throws {
        let file = try newFile()
        let context = try TestContext.make(try .with(workers: workers))
        #expect(!context.snapshot().hasEnded)
        for i in 0..<10 {
            try context.give(.write(file, from: IOBuffer(zeroed: 512), at: Int64(i) * 512))
        }
        context.shutdown()
        let last = context.snapshot()
        #expect(last.hasEnded && last.isResponsive && !last.isSleeping)
        #expect(last.description.hasPrefix("ended"), "\(last)")
        #expect(last.statistics.completed == 10 && last.statistics.bytesWritten == 5120)
        #expect(last.inFlight == 0 && last.queued == 0 && last.atWorkers == 0)
    }

    @Test("while a callback keeps the loop, a snapshot has the numbers from before, never zeros")
    func busySnapshot() throws {
        let context = try TestContext.make()
        let before = Outcomes(100)
        for i in 0..<100 { try context.give(.noOperation(callback: before.callback(i))) }
        _ = try before.all()
        try context.drain()
        let known = context.snapshot().statistics.completed
        #expect(known == 100)
        let block = try Blocked(context)
        for _ in 0..<3 {
            let busy = context.snapshot(patience: .milliseconds(1))
            #expect(!busy.isResponsive && !busy.hasEnded)
            #expect(busy.statistics.completed >= known, "\(busy.statistics.completed)")
            #expect(busy.sinceLastCycle > .zero && busy.sinceLastCycle < .seconds(600))
        }
        block.release()
        context.shutdown()
        #expect(context.snapshot().statistics.completed == 101)
    }

    @Test("what is asked of a loop that a callback keeps costs no memory without a bound")
    func mailIsBounded() throws {
        let context = try TestContext.make(depth: 2)
        let file = try newFile()
        let block = try Blocked(context)
        let ticket = try context.give(.noOperation())
        let workers = try IOWorkers(count: 1)
        var configuration = IOContextConfiguration()
        configuration.workers = workers
        let other = try TestContext.make(configuration)
        let isDone = Latch()
        // On a worker's thread nothing waits for the answer.
        try other.give(
            .noOperation(
                callback: ClosureCallback { _ in
                    for _ in 0..<10_000 {
                        _ = context.cancel(ticket)
                        _ = context.cancelAll(file)
                        context.requestCancel(ticket)
                    }
                    isDone.countDown()
                }))
        #expect(isDone.wait())
        for _ in 0..<1000 {
            _ = context.snapshot(patience: .zero)
            context.requestCancel(ticket)
        }
        #expect(context.lettersWaiting <= 4, "\(context.lettersWaiting)")
        block.release()
        context.shutdown()
        other.shutdown()
    }

    @Test("a deadline of a shutdown that has passed cancels what waits, at once")
    func deadline() throws {
        let context = try TestContext.make(depth: 1)
        let block = try Blocked(context)
        let outcomes = Outcomes(50)
        for i in 0..<50 { try context.give(.noOperation(callback: outcomes.callback(i))) }
        let letGo = try TestThread {
            #expect(eventually { context.trySubmit(.noOperation()).name == "closed" })
            block.release()
        }
        let end = context.shutdown(deadline: .monotonic())
        letGo.join()
        #expect(end.isComplete && end.unsettled == 0)
        let cancelled = try outcomes.all().filter { $0.outcome.errno == .canceled }.count
        #expect(cancelled >= 48, "one or two may have had a slot: \(cancelled)")
    }

    @Test("a shutdown with a deadline returns although a callback still runs", arguments: [0, 1])
    func stuckCallback(_ workers: Int) throws {
        let name = "stuck-\(workers)"
        let context = try TestContext.make(try .with(workers: workers, name: name))
        let block = try Blocked(context)
        let start = IOInstant.monotonic()
        let end = context.shutdown(deadline: start.advanced(by: .milliseconds(10)))
        let took = IOInstant.monotonic().nanoseconds(since: start)
        #expect(!end.isComplete)
        #expect(took < 30_000_000_000)
        block.release()
        context.shutdown()
        #expect(eventually { ThreadList.named(name).isEmpty })
    }

    @Test("a driver that cannot be made: its error comes out, and nothing stays behind")
    func noDriver() throws {
        let name = "no-driver"
        var configuration = try IOContextConfiguration.with(workers: 1)
        configuration.name = name
        for _ in 0..<20 {
            let error = #expect(throws: IOError.self) {
                _ = try TestContext(depth: 8, configuration: configuration) {
                    () throws(IOError) in
                    throw IOError(operation: .setUp, errno: .noMemory, advice: "try again")
                }
            }
            #expect(error?.errno == .noMemory && error?.advice == "try again")
            #expect(eventually { ThreadList.named(name).isEmpty })
        }
    }

    @Test("what is out of range is refused with a reason")
    func outOfRange() throws {
        for depth in [0, -1, 40_000, 1 << 20] {
            #expect(throws: IOError.self) {
                _ = try TestContext(depth: depth) {
                    () throws(IOError) in try URingDriver(depth: 8)
                }
            }
        }
        for capacity in [0, -1, 1 << 25] {
            let error = #expect(throws: IOError.self) {
                _ = try TestContext.make(try .with(queueCapacity: capacity))
            }
            #expect(error?.errno == .invalidArgument)
        }
        for count in [0, -1, 5000] {
            let error = #expect(throws: IOError.self) { _ = try IOWorkers(count: count) }
            #expect(error?.errno == .invalidArgument)
        }
    }

    @Test("contexts share workers; workers may be dropped before them")
    func sharedWorkers() throws {
        let name = "shared-workers"
        do {
            var configuration = IOContextConfiguration()
            configuration.workers = try IOWorkers(count: 3, name: name)
            #expect(eventually { ThreadList.named(name).count == 3 })
            let contexts = try (0..<4).map { _ in try TestContext.make(configuration) }
            configuration.workers = nil
            let called = Counter()
            for round in 0..<4 {
                let latch = Latch(1000 * (4 - round))
                for context in contexts[round...] {
                    for _ in 0..<1000 {
                        try context.give(
                            .noOperation(
                                callback: ClosureCallback { _ in
                                    called.add()
                                    latch.countDown()
                                }))
                    }
                }
                #expect(latch.wait(), "\(latch.remaining) are missing")
                contexts[round].shutdown()
            }
            #expect(called.value == 10_000)
        }
        #expect(eventually { ThreadList.named(name).isEmpty }, "workers are still there")
    }

    @Test("what no process may keep is gone: descriptors, threads, memory")
    func nothingLeft() {
        // AddressSanitizer keeps what was freed, to find who still uses it: that is no leak.
        let end = Command.run([
            "env",
            Command.sanitizerOptions("quarantine_size_mb=0:thread_local_quarantine_size_kb=0"),
            Command.helper, "many-contexts", TemporaryFolder.newPath("many"),
        ])
        #expect(end.status == 0, "\(end)")
    }
}
