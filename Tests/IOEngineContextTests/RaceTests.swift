import BasicContainers
import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Everything at once, from several threads: what is accepted is called back exactly once.
@Suite struct RaceTests {
    /// One byte an event: how often it was called back.
    private final class Ledger: Sendable {
        let accepted = Atomic<Int>(0)
        private let calls: [Counter]
        init(_ count: Int) { calls = (0..<count).map { _ in Counter() } }
        func callback(_ number: Int) -> ClosureCallback {
            ClosureCallback { [self] _ in calls[number].add() }
        }
        func count(_ times: Int) -> Int { calls.count { $0.value == times } }
    }

    @Test(
        "submitters, workers, cancellations, deadlines, drains, looks and the end race",
        arguments: [0, 2])
    func everything(_ workers: Int) throws {
        let rounds = Self.number("IOENGINE_RACES") ?? 20
        var random = SeededRandom()
        let file = try newFile()
        let each = 60
        for round in 0..<rounds {
            let configuration = try IOContextConfiguration.with(
                workers: workers, queueCapacity: 8)
            let context = try TestContext.make(depth: 4, configuration)
            let ledger = Ledger(4 * each)
            let seeds = (0..<5).map { _ in random.next() }
            let threads = try (0..<4).map { number in
                try TestThread {
                    var random = SeededRandom(seed: seeds[number])
                    for i in 0..<each {
                        let callback = ledger.callback(number * each + i)
                        let offset = Int64(i) * 4096
                        let event: TestEvent =
                            switch Int.random(in: 0..<5, using: &random) {
                            case 0: .sync(file, .data, callback: callback)
                            case 1:
                                .read(
                                    file, into: IOBuffer(capacity: 4096), at: offset,
                                    callback: callback)
                            case 2: .noOperation(callback: callback)
                            default:
                                .write(
                                    file, from: IOBuffer(zeroed: 4096), at: offset,
                                    callback: callback)
                            }
                        let isLimited = random.isOne(in: 4)
                        let limits =
                            isLimited
                            ? IOLimits(
                                deadline: .monotonic().advanced(
                                    by: .microseconds(Int.random(in: 0..<200, using: &random))),
                                abandonAfter: .seconds(5)) : .none
                        guard let ticket = context.submit(event, limits).ticket else { return }
                        ledger.accepted.add(1, ordering: .relaxed)
                        if random.isOne(in: 5) { context.cancel(ticket) }
                        if random.isOne(in: 20) { try? context.drain() }
                        if random.isOne(in: 20) { _ = context.snapshot() }
                        if random.isOne(in: 40) { context.cancelAll(file) }
                    }
                }
            }
            switch round % 4 {
            case 0: for thread in threads { thread.join() }
            case 1: context.shutdown()
            case 2: context.shutdown(deadline: .monotonic().advanced(by: .milliseconds(1)))
            default:
                let ender = try TestThread { context.shutdown() }
                context.shutdown()
                ender.join()
            }
            if round % 4 != 0 { for thread in threads { thread.join() } }
            context.shutdown()
            let accepted = ledger.accepted.load(ordering: .relaxed)
            #expect(ledger.count(1) == accepted, "round \(round), \(random.note)")
            #expect(ledger.count(0) == 4 * each - accepted, "round \(round), \(random.note)")
        }
    }

    @Test("of queue hand-overs none is lost, whether the loop is awake or asleep")
    func handOvers() throws {
        let count = Self.number("IOENGINE_HANDOVERS") ?? 100_000
        // Of a hundred hand-overs one waits until the loop sleeps.
        let wanted = count / 100
        var configuration = IOContextConfiguration()
        configuration.idleSpin = .zero
        let context = try TestContext.make(depth: 32, configuration)
        let called = Counter()
        let callback = { @Sendable in ClosureCallback { _ in called.add() } }
        let threads = try (0..<2).map { number in
            try TestThread {
                for i in 0..<count / 2 {
                    guard context.submit(.noOperation(callback: callback())).isAccepted else {
                        return
                    }
                    if number == 0, i % 32 == 0 {
                        // Let it fall asleep: whoever comes next has to wake it.
                        while called.value < i { sched_yield() }
                    }
                    if number == 1, i % 64 == 0 { for _ in 0..<8 { sched_yield() } }
                }
            }
        }
        for thread in threads { thread.join() }
        // The rest of those that find it asleep, one by one.
        var extra = 0
        while context.snapshot().wakeUps < UInt64(wanted) {
            try context.give(.noOperation(callback: callback()))
            extra += 1
            while called.value < count + extra { sched_yield() }
            guard extra < 4 * wanted + 1000 else { break }
        }
        try context.drain()
        let wakeUps = context.snapshot().wakeUps
        print("hand-overs: \(count + extra), found the loop asleep: \(wakeUps)")
        #expect(called.value == count / 2 * 2 + extra)
        #expect(wakeUps >= UInt64(wanted))
        context.shutdown()
    }

    private static func number(_ name: String) -> Int? {
        unsafe getenv(name).flatMap { unsafe Int(String(cString: $0)) }
    }
}
