import Glibc
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// Threads that may block, for a thread that must not.
@Suite struct HelperPoolTests {
    /// The owner's side, as a driver has it.
    private struct Owner {
        let pool: HelperPool

        init(_ depth: Int, limit: Int, idle: Duration = .seconds(5)) {
            pool = HelperPool(depth: depth, limit: limit, name: "test-pool", idleTime: idle)
        }

        func submit(_ requests: [IORequest]) {
            for request in requests { pool.stage(request) }
            pool.start()
        }

        func taken(most: Int = 64) -> [IOCompletion] {
            let memory = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: most)
            defer { unsafe memory.deallocate() }
            var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
            pool.take(into: &span)
            let count = unsafe span.finalize(for: memory)
            return unsafe Array(memory[..<count])
        }

        /// Results by slot.
        func finish(_ count: Int) throws -> [UInt32: Int] {
            var results: [UInt32: Int] = [:]
            while results.count < count {
                let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
                let outcome = pool.wait(for: count - results.count, until: deadline)
                try #require(outcome == .ready)
                for completion in taken() {
                    let known = results.updateValue(
                        completion.result, forKey: completion.token.slot)
                    try #require(known == nil, "each is finished once")
                }
            }
            return results
        }
    }

    private func plain(_ slot: Int, _ action: IOAction = .noOperation) -> IORequest {
        .plain(action, UInt32(slot))
    }

    private func token(_ slot: Int) -> IOToken { IOToken(slot: UInt32(slot), generation: 1) }

    @Test("every request is finished once, whatever the number of helpers", arguments: [1, 2, 7])
    func finishesAll(_ limit: Int) throws {
        let owner = Owner(64, limit: limit)
        defer { owner.pool.close() }
        for _ in 0..<50 {
            owner.submit((0..<64).map { plain($0) })
            let results = try owner.finish(64)
            #expect(results.count == 64)
            #expect(owner.pool.helperCount <= limit)
        }
        #expect(owner.pool.outstanding == 0)
    }

    @Test("helpers end when they have had nothing to do for their time, and come again")
    func idle() throws {
        let owner = Owner(8, limit: 4, idle: .milliseconds(1))
        defer { owner.pool.close() }
        for _ in 0..<5 {
            owner.submit((0..<8).map { plain($0) })
            _ = try owner.finish(8)
            let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
            while owner.pool.helperCount > 0, IOInstant.monotonic() < deadline { sched_yield() }
            #expect(owner.pool.helperCount == 0)
        }
    }

    @Test("what was not begun is cancelled, what is not there is unknown")
    func cancel() throws {
        let owner = Owner(4, limit: 1)
        defer { owner.pool.close() }
        // Staged: no helper can have it.
        for slot in 0..<3 { owner.pool.stage(plain(slot)) }
        #expect(owner.pool.cancel(token(1)) == .cancelled)
        #expect(owner.pool.cancel(token(1)) == .tooLate, "it is finished, with ECANCELED")
        #expect(owner.pool.cancel(token(3)) == .unknown)
        #expect(owner.pool.cancel(IOToken(slot: 0, generation: 9)) == .unknown)
        #expect(owner.pool.cancel(IOToken(slot: 77, generation: 1)) == .unknown)
        owner.pool.start()
        let results = try owner.finish(3)
        #expect(results == [0: 0, 1: Int(-ECANCELED), 2: 0])
        #expect(owner.pool.cancel(token(0)) == .unknown)
    }

    @Test("cancelling the first, the last and the only one of a queue leaves the others in order")
    func cancelInPlaces() throws {
        let owner = Owner(8, limit: 1)
        defer { owner.pool.close() }
        for picked in [[0], [7], [3], [0, 7], [7, 0, 3], Array(0..<8)] {
            for slot in 0..<8 { owner.pool.stage(plain(slot)) }
            for slot in picked { #expect(owner.pool.cancel(token(slot)) == .cancelled) }
            owner.pool.start()
            var order: [UInt32] = []
            while order.count < 8 {
                _ = owner.pool.wait(for: 8 - order.count, until: nil)
                for completion in owner.taken(most: 3) {
                    let slot = completion.token.slot
                    let wanted = picked.contains(Int(slot)) ? Int(-ECANCELED) : 0
                    #expect(completion.result == wanted)
                    order.append(slot)
                }
            }
            let others = (0..<8).filter { !picked.contains($0) }
            #expect(order == (picked + others).map { UInt32($0) })
        }
    }

    @Test("a wait ends with the deadline, with a wake-up before or during it, and once for each")
    func waits() throws {
        let owner = Owner(4, limit: 2)
        defer { owner.pool.close() }
        let pool = owner.pool
        func soon() -> IOInstant { IOInstant.monotonic().advanced(by: .milliseconds(2)) }
        let start = IOInstant.monotonic()
        #expect(pool.wait(for: 1, until: start) == .deadlinePassed)
        let deadline = soon()
        #expect(pool.wait(for: 1, until: deadline) == .deadlinePassed)
        #expect(IOInstant.monotonic() >= deadline)
        for _ in 0..<3 { pool.wake() }
        #expect(pool.wait(for: 1, until: nil) == .woken)
        #expect(pool.wait(for: 1, until: soon()) == .deadlinePassed, "several became one")
        let waits = Counter()
        let thread = try TestThread {
            for round in 0..<200 {
                while waits.value < round { sched_yield() }
                pool.wake()
            }
        }
        let far = IOInstant.monotonic().advanced(by: .seconds(20))
        for _ in 0..<200 {
            let outcome = pool.wait(for: 1, until: far)
            waits.add()
            try #require(outcome == .woken, "a wake-up was lost")
        }
        thread.join()
    }

    @Test("an owner that sleeps elsewhere is told when as many are there as it waits for")
    func notifies() throws {
        let told = Counter()
        let pool = HelperPool(depth: 8, limit: 2, name: "test-pool", idleTime: .seconds(5)) {
            told.add()
        }
        defer { pool.close() }
        for round in 1...20 {
            for slot in 0..<8 { pool.stage(plain(slot)) }
            let sleeps = pool.willSleep(for: 8)
            #expect(sleeps, "nothing has begun")
            pool.start()
            let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
            while told.value < round, IOInstant.monotonic() < deadline { sched_yield() }
            #expect(told.value == round)
            pool.didSleep()
            let again = pool.willSleep(for: 8)
            #expect(!again, "all are there")
            let memory = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: 8)
            defer { unsafe memory.deallocate() }
            var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
            pool.take(into: &span)
            let count = unsafe span.finalize(for: memory)
            #expect(count == 8)
        }
    }

    @Test("closing forgets what was not begun and leaves no helper")
    func close() {
        for count in [0, 1, 64] {
            let owner = Owner(64, limit: 3)
            owner.submit((0..<count).map { plain($0) })
            let hasEnded = owner.pool.close()
            #expect(hasEnded)
            #expect(owner.pool.helperCount == 0)
        }
    }

    @Test("what a thread may try without waiting")
    func attempts() throws {
        func request(
            _ action: IOAction, length: Int = 4096, traits: IODescriptorTraits = .known,
            mayBlock: Bool = false, priority: IOPriority = .inherited
        ) -> Bool {
            unsafe IORequest(
                token: token(0), action: action, length: length, priority: priority,
                mayBlock: mayBlock, traits: traits
            ).isAttemptable
        }
        let memory: IODescriptorTraits = [.known, .inMemory]
        let direct: IODescriptorTraits = [.known, .direct]
        #expect(request(.read) && request(.readVectored))
        #expect(!request(.write), "a frozen file system blocks it whatever its flags")
        #expect(request(.write, traits: memory) && request(.read, traits: memory))
        #expect(!request(.read, traits: direct), "there RWF_NOWAIT waits for the device")
        #expect(request(.read, length: 128 << 10) && !request(.read, length: 128 << 10 + 1))
        #expect(!request(.read, mayBlock: true) && !request(.read, priority: .idle))
        for action in [IOAction.syncData, .syncFull, .allocate] {
            #expect(!request(action, traits: memory))
        }
    }
}
