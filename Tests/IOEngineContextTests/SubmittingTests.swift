import BasicContainers
import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Ways into a context, and what bounds them.
@Suite struct SubmittingTests {
    @Test("every event is called back once, whoever submits", arguments: [0, 2])
    func roundTrip(_ workers: Int) throws {
        let file = try newFile()
        let context = try TestContext.make(try .with(workers: workers))
        let writes = Outcomes(64)
        for i in 0..<64 {
            _ = context.submit(
                .write(
                    file, from: IOBuffer(copying: [UInt8](repeating: UInt8(i), count: 512)),
                    at: Int64(i) * 512, callback: writes.callback(i)))
        }
        let written = try writes.all()
        #expect(Set(written.map(\.number)) == Set(0..<64))
        #expect(written.allSatisfy { $0.outcome.transferred == 512 && $0.outcome.error == nil })
        let reads = Outcomes(64)
        let wrong = Counter()
        for i in 0..<64 {
            _ = context.submit(
                .read(
                    file, into: IOBuffer(capacity: 512), at: Int64(i) * 512,
                    callback: ClosureCallback { event in
                        if event.buffer.count != 512 || event.buffer[511] != UInt8(i) {
                            wrong.add()
                        }
                        reads.add(i, event)
                    }))
        }
        #expect(try reads.numbers().count == 64)
        #expect(wrong.value == 0)
        context.shutdown()
    }

    @Test("a batch is taken in order, in the tickets' order, as far as there are places")
    func batches() throws {
        let context = try TestContext.make(depth: 1, try .with(queueCapacity: 8))
        let block = try Blocked(context)
        let outcomes = Outcomes(8)
        for i in 0..<5 {
            _ = context.submit(.noOperation(callback: outcomes.callback(i)))
        }
        var events = batch(5) { .noOperation(callback: outcomes.callback(5 + $0)) }
        let tickets = context.trySubmit(contentsOf: &events)
        #expect(tickets.count == 3, "as many as there were places for")
        let left = events.count
        #expect(left == 2)
        let full = context.trySubmit(.noOperation())
        #expect(full.name == "full")
        block.release()
        #expect(try outcomes.numbers() == Array(0..<8), "depth 1 keeps the order")

        let rest = Outcomes(2)
        var again = batch(2) { .noOperation(callback: rest.callback($0)) }
        context.submit(contentsOf: &again)
        let isTaken = again.isEmpty
        #expect(isTaken)
        #expect(try rest.numbers() == [0, 1])
    }

    @Test("a batch larger than the queue waits for places")
    func largeBatch() throws {
        let context = try TestContext.make(depth: 2, try .with(queueCapacity: 4))
        let outcomes = Outcomes(1000)
        var events = batch(1000) { .noOperation(callback: outcomes.callback($0)) }
        context.submit(contentsOf: &events)
        let isTaken = events.isEmpty
        #expect(isTaken)
        #expect(Set(try outcomes.numbers()) == Set(0..<1000))
    }

    @Test("many producers at a tiny queue all get through", arguments: [0, 2])
    func tinyQueue(_ workers: Int) throws {
        let context = try TestContext.make(
            depth: 2, try .with(workers: workers, queueCapacity: 2))
        let count = 2000
        let outcomes = Counter()
        let latch = Latch(8 * count)
        let threads = try (0..<8).map { number in
            try TestThread {
                for i in 0..<count {
                    let callback = ClosureCallback { _ in
                        outcomes.add()
                        latch.countDown()
                    }
                    if number == 0, i % 3 == 0 {
                        // A batch of one, and a chain of two in place of one, mixed in.
                        var events = batch(1) { _ in .noOperation(callback: callback) }
                        context.submit(contentsOf: &events)
                    } else {
                        _ = context.submit(.noOperation(callback: callback))
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(latch.wait(), "\(latch.remaining) are missing")
        context.shutdown()
        #expect(outcomes.value == 8 * count)
    }

    @Test("a chain as long as the queue gets its places beside a busy producer")
    func chainBesideProducer() throws {
        let context = try TestContext.make(depth: 8, try .with(queueCapacity: 8))
        let producer = try SteadyProducer(context)
        for _ in 0..<20 {
            let outcomes = Outcomes(8)
            let chain = context.submit(
                chain: batch(8) { .noOperation(callback: outcomes.callback($0)) })
            #expect(chain.name == "accepted")
            #expect(try outcomes.numbers() == Array(0..<8))
        }
        producer.stop()
        context.shutdown()
    }

    @Test("chains of several threads get their places beside several busy producers")
    func chainsBesideProducers() throws {
        let context = try TestContext.make(depth: 8, try .with(queueCapacity: 8))
        let producers = try (0..<3).map { _ in try SteadyProducer(context) }
        let called = Counter()
        let threads = try (0..<3).map { _ in
            try TestThread {
                for _ in 0..<20 {
                    let chain = context.submit(
                        chain: batch(8) { _ in
                            .noOperation(callback: ClosureCallback { _ in called.add() })
                        })
                    #expect(chain.name == "accepted")
                }
            }
        }
        for thread in threads { thread.join() }
        for producer in producers { #expect(producer.stop() > 0) }
        context.shutdown()
        #expect(called.value == 3 * 20 * 8)
    }

    @Test("a batch takes time in proportion to its length")
    func lengthOfBatch() throws {
        let context = try TestContext.make(depth: 64, try .with(queueCapacity: 256))
        defer { context.shutdown() }
        /// The time of this thread on a processor, which others on the machine do not add to.
        func cost(_ count: Int) -> Int64 {
            var events = batch(count) { _ in .noOperation() }
            let start = threadTime()
            context.submit(contentsOf: &events)
            let time = threadTime() - start
            let isTaken = events.isEmpty
            #expect(isTaken)
            return time
        }
        _ = cost(2000)
        let short = cost(10_000)
        let long = cost(100_000)
        print("batches of 10,000 and 100,000: \(short / 1000) and \(long / 1000) us")
        #expect(long < 20 * short)
    }

    private func threadTime() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    @Test("a chain beyond the bound is refused whole")
    func tooLong() throws {
        let calls = Counter()
        let count = ClosureCallback { _ in calls.add() }
        for (depth, capacity, limit) in [(4, 256, 4), (64, 8, 8)] {
            let context = try TestContext.make(depth: depth, try .with(queueCapacity: capacity))
            let chain = batch(limit + 1) { _ in .noOperation(callback: count) }
            #expect(context.submit(chain: chain).name == "too long for \(limit)")
            let again = batch(limit + 1) { _ in .noOperation(callback: count) }
            #expect(context.trySubmit(chain: again).name == "too long for \(limit)")
            let outcomes = Outcomes(limit)
            let fits = batch(limit) { .noOperation(callback: outcomes.callback($0)) }
            #expect(context.submit(chain: fits).name == "accepted")
            #expect(try outcomes.numbers() == Array(0..<limit))
            context.shutdown()
        }
        #expect(calls.value == 0, "what is not taken is not called")
    }

    @Test("a chain breaks where an event fails, and the rest is cancelled")
    func brokenChain() throws {
        let file = try newFile()
        let context = try TestContext.make()
        let outcomes = Outcomes(4)
        let chain = batch(4) { i in
            i == 1
                ? .write(
                    file, from: IOBuffer(zeroed: 512), at: -1, callback: outcomes.callback(i))
                : .write(
                    file, from: IOBuffer(zeroed: 512), at: Int64(i) * 512,
                    callback: outcomes.callback(i))
        }
        #expect(context.submit(chain: chain).name == "accepted")
        let all = Dictionary(
            uniqueKeysWithValues: try outcomes.all().map { ($0.number, $0.outcome) })
        #expect(all[0]?.errno == nil)
        #expect(all[1]?.errno == .invalidArgument)
        #expect(all[2]?.errno == .canceled && all[2]?.error?.reason == .chainBroken)
        #expect(all[3]?.errno == .canceled && all[3]?.error?.reason == .chainBroken)
        context.shutdown()
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size == 512, "nothing behind the break was written")
    }

    @Test("bytes in flight stay below the bound, also for chains; what is above it runs alone")
    func bytes() throws {
        let file = try newFile()
        var configuration = try IOContextConfiguration.with()
        configuration.maximumBytesInFlight = 16384
        let context = try TestContext.make(depth: 16, configuration)
        let peak = Peak()
        let isOver = Flag()
        let rounds = 50
        let latch = Latch(rounds * 7)
        // Looks from inside: at each callback the loop says what is in flight.
        let callback = ClosureCallback { _ in
            peak.note(context.snapshot().bytesInFlight)
            latch.countDown()
        }
        let watcher = try TestThread {
            while !isOver.isUp {
                peak.note(context.snapshot().bytesInFlight)
            }
        }
        for i in 0..<rounds {
            // All of a round is in the queue before the loop takes any of it.
            let block = try Blocked(context)
            for j in 0..<2 {
                try context.give(
                    .write(
                        file, from: IOBuffer(zeroed: 4096), at: Int64(2 * i + j) * 4096,
                        callback: callback))
            }
            let chain = batch(4) { j in
                .write(file, from: IOBuffer(zeroed: 4096), at: Int64(j) * 4096, callback: callback)
            }
            #expect(context.submit(chain: chain).name == "accepted")
            try context.give(.sync(file, .data, callback: callback))
            block.release()
        }
        #expect(latch.wait(), "\(latch.remaining) are missing")
        isOver.raise()
        watcher.join()
        let most = peak.value
        #expect(most > 8192 && most <= 16384, "\(most) bytes were in flight")

        // Alone.
        let large = Outcomes(3)
        _ = context.submit(
            .write(file, from: IOBuffer(zeroed: 4096), at: 0, callback: large.callback(0)))
        _ = context.submit(
            .write(file, from: IOBuffer(zeroed: 1 << 20), at: 0, callback: large.callback(1)))
        _ = context.submit(
            .write(file, from: IOBuffer(zeroed: 4096), at: 0, callback: large.callback(2)))
        #expect(try large.numbers() == [0, 1, 2])
        context.shutdown()
    }

    @Test("a ticket is valid at once and on every thread")
    func tickets() throws {
        let context = try TestContext.make(depth: 1, try .with(queueCapacity: 64))
        let block = try Blocked(context)
        let outcomes = Outcomes(3)
        let first = try context.give(.noOperation(callback: outcomes.callback(0)))
        let second = try context.give(.noOperation(callback: outcomes.callback(1)))
        let third = try context.give(.noOperation(callback: outcomes.callback(2)))
        let answers = LockedValue<[IOCancellation]>([])
        let other = try TestThread {
            for ticket in [second, second] {
                let answer = context.cancel(ticket)
                answers.withLock { $0.append(answer) }
            }
        }
        block.release()
        other.join()
        let all = try outcomes.all()
        let isCancelled = all.first { $0.number == 1 }?.outcome.errno == .canceled
        let given = answers.withLock { $0 }
        // The loop may have been faster than the other thread; then it says so.
        #expect(isCancelled ? given[0] == .cancelled : given[0] != .cancelled, "\(given)")
        #expect(given[1] == .unknown || given[1] == .tooLate, "\(given)")
        try context.drain()
        for ticket in [first, second, third] { #expect(context.cancel(ticket) == .unknown) }
        context.shutdown()
        #expect(context.cancel(first) == .unknown)
    }

    @Test("cancelAll stops what waits, on one descriptor or on all")
    func cancelAll() throws {
        let one = try newFile()
        let two = try newFile()
        let context = try TestContext.make(depth: 1)
        for round in 0..<3 {
            let block = try Blocked(context)
            let outcomes = Outcomes(60)
            for i in 0..<60 {
                let file = i % 3 == 0 ? two : one
                _ = context.submit(
                    .read(
                        file, into: IOBuffer(capacity: 16), at: 0,
                        callback: outcomes.callback(i)))
            }
            let canceller = try TestThread {
                _ = round == 0 ? context.cancelAll(one) : context.cancelAll()
            }
            // It waits for the loop; so let that go once the request is there for sure.
            #expect(eventually { context.snapshot(patience: .zero).queued == 60 })
            block.release()
            canceller.join()
            let all = try outcomes.all()
            #expect(Set(all.map(\.number)).count == 60)
            for (number, outcome) in all {
                #expect(outcome.errno == nil || outcome.errno == .canceled)
                if round == 0, number % 3 == 0 { #expect(outcome.errno == nil) }
            }
        }
        context.shutdown()
    }

    @Test("close waits until every event of the descriptor has settled, and no later one is taken")
    func closing() throws {
        for workers in [0, 2] {
            let path = TemporaryFolder.newPath("closing")
            let file = try openNew(path)
            let context = try TestContext.make(depth: 2, try .with(workers: workers))
            let outcomes = Outcomes(100)
            for i in 0..<100 {
                _ = context.submit(
                    .write(
                        file, from: IOBuffer(zeroed: 512), at: Int64(i) * 512,
                        callback: outcomes.callback(i)))
            }
            try context.close(file)
            // Settled means written; the callbacks may still be on their way.
            let size = try FileDescriptor.open(FilePath(path), .readOnly).closeAfter {
                try $0.seek(offset: 0, from: .end)
            }
            #expect(size == 100 * 512)
            #expect(try outcomes.all().allSatisfy { $0.outcome.errno == nil })
            let late = Outcomes(1)
            _ = context.submit(
                .read(file, into: IOBuffer(capacity: 16), at: 0, callback: late.callback()))
            #expect(try late.all()[0].outcome.errno == .badFileDescriptor)
            #expect(throws: IOError.self) { try context.close(file) }
            context.shutdown()
        }
    }

    @Test("after a drain a descriptor closes at once", arguments: [0, 2])
    func closingAfterDrain(_ workers: Int) throws {
        let context = try TestContext.make(depth: 4, try .with(workers: workers))
        let late = Counter()
        for _ in 0..<200 {
            let file = try newFile()
            for i in 0..<4 {
                _ = context.submit(
                    .write(
                        file, from: IOBuffer(zeroed: 512), at: Int64(i) * 512,
                        callback: ClosureCallback { _ in }))
            }
            try context.drain()
            if try !file.close() { late.add() }
        }
        #expect(late.value == 0, "\(late.value) of 200 were in flight after a drain")
        context.shutdown()
    }

    @Test("after a shutdown a descriptor closes at once", arguments: [0, 2])
    func closingAfterShutdown(_ workers: Int) throws {
        for round in 0..<20 {
            let context = try TestContext.make(depth: 4, try .with(workers: workers))
            let file = try newFile()
            _ = context.submit(.write(file, from: IOBuffer(zeroed: 512), at: 0))
            if round % 2 == 0 {
                context.shutdown()
            } else {
                let end = context.shutdown(
                    deadline: .monotonic().advanced(by: .seconds(60)))
                #expect(end.isComplete)
            }
            #expect(try file.close())
        }
    }

    @Test("what is not accepted comes back, and orCancel() calls it back", arguments: [0, 2])
    func orCancel(_ workers: Int) throws {
        let context = try TestContext.make(depth: 1, try .with(workers: workers, queueCapacity: 2))
        let done = Outcomes(1)
        #expect(context.submit(.noOperation(callback: done.callback())).orCancel() != nil)
        #expect(try done.all()[0].outcome.errno == nil)

        let block = try Blocked(context)
        while context.trySubmit(.noOperation()).isAccepted {}
        let full = Outcomes(1)
        #expect(context.trySubmit(.noOperation(callback: full.callback())).orCancel() == nil)
        #expect(try full.all()[0].outcome.errno == .resourceTemporarilyUnavailable)
        let chain = Outcomes(4)
        #expect(
            context.trySubmit(
                chain: batch(1) { .noOperation(callback: chain.callback($0)) }
            ).orCancel() == nil)
        #expect(
            context.submit(
                chain: batch(3) { .noOperation(callback: chain.callback(1 + $0)) }
            ).orCancel() == nil, "it is too long")
        let errnos = try chain.all().map(\.outcome.errno)
        #expect(
            errnos == [
                .resourceTemporarilyUnavailable, .invalidArgument, .invalidArgument,
                .invalidArgument,
            ])
        #expect(try chain.numbers() == [0, 1, 2, 3])
        block.release()
        context.shutdown()

        let closed = Outcomes(3)
        #expect(context.submit(.noOperation(callback: closed.callback())).orCancel() == nil)
        #expect(
            context.submit(
                chain: batch(1) { _ in .noOperation(callback: closed.callback(1)) }
            ).orCancel() == nil)
        var events = batch(1) { _ in .noOperation(callback: closed.callback(2)) }
        context.submit(contentsOf: &events)
        while let event = events.popLast() { event.completeCancelled() }
        #expect(try closed.all().allSatisfy { $0.outcome.errno == .canceled })
    }

    @Test("a job on the loop's own thread gets back what there is no room for")
    func fullOnLoop() async throws {
        let context = try TestContext.make(depth: 4)
        let called = Counter()
        let (accepted, full) = await Task(executorPreference: context) {
            var counts = (0, 0)
            for _ in 0..<16 {
                let submission = context.submit(
                    .noOperation(callback: ClosureCallback { _ in called.add() }))
                if submission.orCancel() != nil { counts.0 += 1 } else { counts.1 += 1 }
            }
            return counts
        }.value
        context.shutdown()
        #expect(accepted == 4 && full == 12)
        #expect(called.value == 16, "each is called back once")
    }

    @Test("drain waits for callbacks too, and holds up nobody else", arguments: [0, 3])
    func draining(_ workers: Int) throws {
        let context = try TestContext.make(depth: 4, try .with(workers: workers))
        let producer = try SteadyProducer(context)
        for _ in 0..<200 {
            let counter = Counter()
            for _ in 0..<20 {
                _ = context.submit(.noOperation(callback: ClosureCallback { _ in counter.add() }))
            }
            try context.drain()
            #expect(counter.value == 20)
        }
        #expect(producer.stop() > 0)
        context.shutdown()
    }
}

extension FileDescriptor {
    func closeAfter<R>(_ body: (FileDescriptor) throws -> R) throws -> R {
        defer { try? close() }
        return try body(self)
    }
}

/// A thread that submits without a pause.
final class SteadyProducer: Sendable {
    private let isOver = Flag()
    private let accepted = Counter()
    private let thread: TestThread

    init(_ context: TestContext) throws {
        let (isOver, accepted) = (isOver, accepted)
        thread = try TestThread {
            while !isOver.isUp {
                let submission = context.submit(.noOperation())
                if !submission.isAccepted { return }
                accepted.add()
            }
        }
    }

    /// Asks it to end, without waiting for it.
    func end() { isOver.raise() }

    /// Ends it. Returns how many events it got rid of.
    @discardableResult
    func stop() -> Int {
        end()
        thread.join()
        return accepted.value
    }
}

/// A flag that one thread raises and others look at.
final class Flag: Sendable {
    private let state = Atomic<Bool>(false)
    var isUp: Bool { state.load(ordering: .acquiring) }
    func raise() { state.store(true, ordering: .releasing) }
}

/// The largest number that was seen.
final class Peak: Sendable {
    private let most = Atomic<Int>(0)
    var value: Int { most.load(ordering: .relaxed) }
    func note(_ number: Int) { most.max(number, ordering: .relaxed) }
}
