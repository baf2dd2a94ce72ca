import Glibc
import IOEngineCore
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Whose turn it is among the requests of a helper pool, and who does not count towards its limit.
@Suite struct HelperQueueTests {
    /// Keeps what is done by the slots of requests, in order, and stops at those that it is told
    /// to.
    private final class Doing: Sendable {
        private let order = LockedValue<[Int]>([])
        private let blocked: Set<Int>
        private let gate = Latch()

        init(blocked: Set<Int> = []) { self.blocked = blocked }

        func perform(_ request: IORequest) -> Int {
            let slot = Int(request.token.slot)
            order.withLock { $0.append(slot) }
            if blocked.contains(slot) { gate.wait() }
            return 0
        }

        func letGo() { gate.countDown() }

        var slots: [Int] { order.withLock { $0 } }
    }

    private func pool(_ doing: Doing, depth: Int, limit: Int) -> HelperPool {
        HelperPool(
            depth: depth, limit: limit, name: "test-pool", idleTime: .seconds(5),
            perform: { doing.perform($0) })
    }

    private func token(_ slot: Int) -> IOToken { IOToken(slot: UInt32(slot), generation: 1) }

    private func read(_ slot: Int, _ priority: IOPriority) -> IORequest {
        var request = IORequest.plain(.read, UInt32(slot), length: 1)
        request.priority = priority
        return request
    }

    /// Takes that many completions out.
    private func take(_ count: Int, from pool: HelperPool) throws {
        let memory = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: count)
        defer { unsafe memory.deallocate() }
        var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
        while span.count < count {
            let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
            let outcome = pool.wait(for: count - span.count, until: deadline)
            try #require(outcome == .ready)
            pool.take(into: &span)
        }
        let taken = unsafe span.finalize(for: memory)
        #expect(taken == count)
    }

    /// The order in which one helper does these, all of which are there before it starts.
    private func order(of priorities: [IOPriority]) throws -> [Int] {
        let doing = Doing()
        let pool = pool(doing, depth: priorities.count, limit: 1)
        defer { pool.close() }
        for (slot, priority) in priorities.enumerated() { pool.stage(read(slot, priority)) }
        pool.start()
        try take(priorities.count, from: pool)
        return doing.slots
    }

    @Test("the more urgent first, and within one priority as they came")
    func byPriority() throws {
        let order = try order(of: [
            .idle, .bestEffort(level: 7), .inherited, .bestEffort(level: 0), .realTime(level: 7),
            .realTime(level: 0), .realTime(level: 0),
        ])
        #expect(order == [5, 6, 4, 3, 2, 1, 0])
    }

    @Test("a real-time read behind sixty-three others is among the first")
    func urgent() throws {
        var priorities = [IOPriority](repeating: .inherited, count: 64)
        priorities[63] = .realTime(level: 0)
        let order = try order(of: priorities)
        #expect(order.firstIndex(of: 63) == 0)
        #expect(order.filter { $0 != 63 } == Array(0..<63), "the others keep their order")
    }

    @Test("nobody starves behind the more urgent")
    func aging() throws {
        var priorities = [IOPriority](repeating: .realTime(level: 0), count: 64)
        priorities[0] = .idle
        priorities[1] = .idle
        let order = try order(of: priorities)
        // One in eight is taken by age.
        #expect(order.firstIndex(of: 0) == 7)
        #expect(order.firstIndex(of: 1) == 15)
        #expect(order.sorted() == Array(0..<64))
    }

    @Test("syncs and allocates have no priority, and whatever is cancelled leaves its list whole")
    func others() throws {
        let doing = Doing()
        let pool = pool(doing, depth: 8, limit: 1)
        defer { pool.close() }
        for slot in 0..<8 {
            var request = IORequest.plain(slot < 4 ? .syncFull : .read, UInt32(slot), length: 1)
            request.priority = slot % 2 == 0 ? .idle : .realTime(level: 0)
            pool.stage(request)
        }
        #expect(pool.cancel(token(1)) == .cancelled)
        pool.start()
        try take(8, from: pool)
        #expect(doing.slots == [5, 7, 0, 2, 3, 4, 6])
    }

    @Test("who was asked to stop and does not, does not count towards the limit")
    func stuck() throws {
        let doing = Doing(blocked: [0, 1, 2, 3])
        let pool = pool(doing, depth: 16, limit: 2)
        defer { pool.close() }
        for slot in 0..<4 { pool.stage(read(slot, .inherited)) }
        pool.start()
        #expect(eventually { doing.slots.count == 2 })
        #expect(pool.stuckCount == 0 && pool.helperCount == 2)
        // Two run, the others wait behind them: both kinds of answer.
        #expect(pool.cancel(token(0)) == .tooLate)
        #expect(pool.cancel(token(0)) == .tooLate, "it counts once")
        #expect(pool.stuckCount == 1)
        pool.start()
        #expect(eventually { doing.slots.count == 3 }, "another one has its place")
        #expect(pool.cancel(token(1)) == .tooLate && pool.cancel(token(2)) == .tooLate)
        #expect(pool.cancel(token(3)) == .cancelled, "nobody began it meanwhile")
        #expect(pool.stuckCount == 3)
        for slot in 4..<16 { pool.stage(read(slot, .inherited)) }
        pool.start()
        #expect(eventually { Set(doing.slots).isSuperset(of: 4..<16) })
        doing.letGo()
        try take(16, from: pool)
        #expect(pool.stuckCount == 0)
        #expect(eventually { pool.helperCount <= 2 }, "those that were replaced end")
    }

    @Test(
        "a bound holds for the stuck, and with all of it used up the pool goes on after the first")
    func bound() throws {
        let most = HelperPool.stuckLimit
        let depth = most + 8
        let doing = Doing(blocked: Set(0..<most + 1))
        let pool = pool(doing, depth: depth, limit: 1)
        defer { pool.close() }
        for slot in 0...most {
            pool.stage(read(slot, .inherited))
            pool.start()
            #expect(eventually { doing.slots.count == slot + 1 })
            _ = pool.cancel(token(slot))
        }
        #expect(pool.stuckCount == most && pool.helperCount == most + 1)
        pool.stage(read(most + 1, .inherited))
        pool.start()
        #expect(pool.helperCount == most + 1, "no more are started")
        doing.letGo()
        try take(most + 2, from: pool)
        #expect(pool.stuckCount == 0)
    }
}
