import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// What only the real kernel does: requests that hang, forks, signals.
@Suite struct KernelTests {
    @Test(
        "forks, in a process of its own",
        .enabled(
            if: !Sanitizer.isThread,
            "ThreadSanitizer cannot follow the fork of a process with several threads"),
        arguments: [
            "forked-context", "forked-inside", "forked-loop", "forked-while-closing",
            "forked-while-looking",
        ])
    func forks(_ scenario: String) {
        // A child has not the stacks that held what its parent allocated, and gives none of it back.
        run(scenario, ["env", Command.sanitizerOptions("detect_leaks=0")])
    }

    @Test("a signal storm, in a process of its own")
    func signals() { run("context-signal-storm") }

    private func run(_ scenario: String, _ before: [String] = []) {
        let end = Command.run(
            before + [Command.helper, scenario, TemporaryFolder.newPath(scenario)])
        #expect(end.status == 0, "\(end)")
    }

    /// Freezes a file system, and thaws it whatever happens.
    private static func frozen(_ system: TestFileSystem, _ body: () throws -> Void) throws {
        let end = Command.run(["fsfreeze", "-f", system.path])
        try #require(end.status == 0, "\(end)")
        defer { Command.run(["fsfreeze", "-u", system.path]) }
        try body()
    }

    /// A direct write into a hole, which a frozen ext4 lets wait; its memory counts its end.
    private static func write(
        _ file: IODescriptor, _ freed: Counter, callback: ClosureCallback
    ) -> TestEvent {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 4096)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 7)
        let buffer = unsafe IOBuffer(adopting: memory, count: 4096) { memory in
            freed.add()
            unsafe memory.deallocate()
        }
        return .write(file, from: buffer, at: 0, callback: callback)
    }

    @Test(
        "a request that hangs is given up; what the kernel may still write to stays until it settles",
        .enabled(
            if: TestFileSystem.isRoot && Command.exists("mkfs.ext4") && Command.exists("fsfreeze"),
            "root, mkfs.ext4 and fsfreeze are needed"))
    func stuckRequest() throws {
        let system = try #require(TestFileSystem.freezable(label: "freezable"))
        let file = try openNew(system.newPath("stuck"), direct: true)
        let settled = LockedValue<[IOSettlement]>([])
        let isSettled = Latch(1)
        let context = try TestContext.make(depth: 4) { settlement in
            settled.withLock { $0.append(settlement) }
            isSettled.countDown()
        }
        let name = "frozen"
        var configuration = IOContextConfiguration()
        configuration.name = name
        let second = try TestContext.make(depth: 4, configuration)
        let freed = Counter()
        let isCalled = Latch(1)
        let syncs = Outcomes(1)
        var ticket: IOTicket?
        try Self.frozen(system) {
            // Long enough for it to get to the kernel on any machine.
            let soon = IOInstant.monotonic().advanced(by: .seconds(2))
            ticket = try context.give(
                Self.write(
                    file, freed,
                    callback: ClosureCallback { event in
                        #expect(event.errno == .timedOut && !event.isSettled && event.isDone)
                        #expect(event.buffer.capacity == 0)
                        isCalled.countDown()
                    }), IOLimits(deadline: soon, abandonAfter: .milliseconds(20)))
            // Behind the write, given up or not.
            try context.give(.sync(file, callback: syncs.callback()))
            try #require(isCalled.wait(), "the deadline did not fire")
            #expect(freed.value == 0, "the kernel may still read it")
            let snapshot = context.snapshot()
            #expect(snapshot.unsettled == 1 && snapshot.oldest?.state == .abandoned)
            #expect(syncs.soFar.isEmpty, "the write has not settled")
            #expect(context.cancel(try #require(ticket)) == .tooLate)

            // Another context ends in time all the same.
            let outcomes = Outcomes(1)
            try second.give(Self.write(file, freed, callback: outcomes.callback()))
            try #require(eventually { second.snapshot().inFlight == 1 })
            let start = IOInstant.monotonic()
            let end = second.shutdown(deadline: start.advanced(by: .milliseconds(50)))
            #expect(end.isComplete && end.unsettled == 1)
            #expect(IOInstant.monotonic().nanoseconds(since: start) < 2_000_000_000)
            #expect(try outcomes.all().count == 1)
            #expect(freed.value == 0)
        }
        try #require(isSettled.wait(), "the thaw settles it")
        let settlement = try #require(settled.withLock { $0.first })
        #expect(settlement.ticket == ticket && settlement.action == .write)
        #expect(settlement.errno == nil && settlement.transferred == 4096)
        #expect(try syncs.all()[0].outcome.error == nil)
        try context.close(file)
        #expect(eventually { freed.value == 2 }, "the memory is given back")
        #expect(eventually { ThreadList.named(name).isEmpty }, "the thread waits for the thaw")
        context.shutdown()
        #expect(settled.withLock { $0.count } == 1)
    }

    @Test(
        "drain and close wait for a request that hangs, and its pool buffer is not handed out again",
        .enabled(
            if: TestFileSystem.isRoot && Command.exists("mkfs.ext4") && Command.exists("fsfreeze"),
            "root, mkfs.ext4 and fsfreeze are needed"))
    func stuckPoolBuffer() throws {
        let system = try #require(TestFileSystem.freezable(label: "freezable-pool"))
        let file = try openNew(system.newPath("stuck"), direct: true)
        let settled = Counter()
        let context = try TestContext.make(depth: 4) { _ in settled.add() }
        let pool = try IOBufferPool(count: 1, bufferCapacity: 4096)
        _ = context.register(pool)
        let outcomes = Outcomes(1)
        let afterwards = Counter()
        var waiting: [TestThread] = []
        try Self.frozen(system) {
            guard var buffer = pool.take() else { throw Errno.noMemory }
            buffer.fill(with: 7)
            try context.give(
                .write(file, from: buffer, at: 0, callback: outcomes.callback()),
                IOLimits(
                    deadline: .monotonic().advanced(by: .seconds(2)),
                    abandonAfter: .milliseconds(5)))
            #expect(try outcomes.all()[0].outcome.error?.errno == .timedOut)
            waiting = [
                try TestThread {
                    _ = try? context.drain()
                    afterwards.add(settled.value)
                },
                try TestThread {
                    _ = try? context.close(file)
                    afterwards.add(settled.value)
                },
            ]
            // Both have been asked for when this has gone through, or are about to be.
            for _ in 0..<100 {
                let later = Outcomes(1)
                try context.give(.noOperation(callback: later.callback()))
                _ = try later.all()
                let isFree = pool.take() != nil
                #expect(!isFree, "the kernel may still read it")
            }
            #expect(context.snapshot().unsettled == 1)
        }
        for thread in waiting { thread.join() }
        #expect(afterwards.value == 2, "they returned before it had settled")
        #expect(eventually { pool.take() != nil }, "the buffer comes back")
        context.shutdown()
    }

    @Test("an idle context uses no processor")
    func idle() throws {
        var configuration = IOContextConfiguration()
        configuration.name = "io-idle"
        let context = try TestContext.make(depth: 8, configuration)
        try context.give(.noOperation())
        try context.drain()
        let clock = LockedValue<clockid_t?>(nil)
        let isKnown = Latch(1)
        try context.give(
            .noOperation(
                callback: ClosureCallback { _ in
                    var id = clockid_t()
                    if unsafe pthread_getcpuclockid(pthread_self(), &id) == 0 {
                        clock.withLock { $0 = id }
                    }
                    isKnown.countDown()
                }))
        try #require(isKnown.wait())
        let id = try #require(clock.withLock { $0 })
        func used() -> Int {
            var time = timespec()
            unsafe clock_gettime(id, &time)
            return time.tv_sec * 1_000_000_000 + time.tv_nsec
        }
        // Ten seconds on demand. The time itself is what is measured here.
        let seconds =
            unsafe getenv("IOENGINE_IDLE_SECONDS").flatMap { unsafe Int(String(cString: $0)) } ?? 1
        let before = used()
        sleep(UInt32(seconds))
        let nanoseconds = used() - before
        print("idle for \(seconds) s: \(nanoseconds / 1000) us")
        // ThreadSanitizer works now and then on whatever thread runs.
        let slack = Sanitizer.isThread ? 10 : 1
        #expect(nanoseconds < slack * max(200_000, seconds * 100_000))
        context.shutdown()
    }

    @Test("a steady writer does not starve a sync, and chains keep their order")
    func steadyWriter() throws {
        let file = try newFile()
        let context = try TestContext.make(depth: 4)
        let isStopped = Atomic<Bool>(false)
        let writes = Counter()
        @Sendable func next(_ block: Int64) -> TestEvent {
            .write(
                file, from: IOBuffer(zeroed: 4096), at: block * 4096,
                callback: ClosureCallback { event, submitter in
                    writes.add()
                    if !isStopped.load(ordering: .relaxed) { _ = submitter.submit(next(block)) }
                })
        }
        for block in 0..<4 { try context.give(next(Int64(block))) }
        for _ in 0..<20 {
            let outcomes = Outcomes(1)
            try context.give(.sync(file, .data, callback: outcomes.callback()))
            #expect(try outcomes.all()[0].outcome.error == nil)
            let chain = Outcomes(3)
            let answer = context.submit(
                chain: batch(3) { i in
                    i == 1
                        ? .sync(file, .data, callback: chain.callback(i))
                        : .write(
                            file, from: IOBuffer(zeroed: 512), at: 65_536,
                            callback: chain.callback(i))
                })
            #expect(answer.isAccepted == true)
            #expect(try chain.numbers() == [0, 1, 2])
        }
        isStopped.store(true, ordering: .relaxed)
        context.shutdown()
        #expect(writes.value > 4)
    }

    @Test(
        "a sync that failed stays visible until it is cleared",
        .enabled(
            if: TestFileSystem.isRoot && Command.exists("mkfs.ext4"),
            "root and mkfs.ext4 are needed"))
    func failedSync() throws {
        let system = try #require(TestFileSystem.overcommitted(label: "failing-context"))
        let file = try openNew(system.newPath("lost"))
        let context = try TestContext.make(depth: 4)
        for block in 0..<32 {
            try context.give(.write(file, from: IOBuffer(zeroed: 1 << 20), at: Int64(block) << 20))
        }
        let syncs = Outcomes(3)
        for i in 0..<3 { try context.give(.sync(file, callback: syncs.callback(i))) }
        let all = try syncs.all()
        #expect(all.contains { $0.outcome.error != nil }, "the device has no room for it")
        #expect(file.syncError != nil)
        let later = Outcomes(1)
        try context.give(.sync(file, callback: later.callback()))
        #expect(try later.all()[0].outcome.error?.reason == .stickySyncError)
        file.clearSyncError()
        context.shutdown()
    }
}
