import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// A context runs Swift's tasks on its loop's thread, between completions.
@Suite struct ExecutorTests {
    @Test("a task that prefers a context runs on its thread, also after waiting")
    func preference() async throws {
        let context = try TestContext.make()
        let first = Task(executorPreference: context) { context.isOnLoop }
        #expect(await first.value)
        let isOn = await Task(executorPreference: context) {
            var all = context.isOnLoop
            for _ in 0..<100 {
                await Task.yield()
                all = all && context.isOnLoop
            }
            try? await Task.sleep(nanoseconds: 1000)
            return all && context.isOnLoop
        }.value
        #expect(isOn)
        #expect(!context.isOnLoop)
        let scoped = await withTaskExecutorPreference(context) {
            await Task.yield()
            return context.isOnLoop
        }
        #expect(scoped)
        let children = await withTaskExecutorPreference(context) {
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<100 { group.addTask { context.isOnLoop } }
                return await group.reduce(true) { $0 && $1 }
            }
        }
        #expect(children, "child tasks inherit the preference")
        context.shutdown()
    }

    @Test("thousands of tasks of several contexts submit and await their IO", arguments: [0, 2])
    func manyTasks(_ workers: Int) async throws {
        let file = try newFile()
        let contexts = try (0..<2).map { _ in
            try TestContext.make(depth: 16, try .with(workers: workers, queueCapacity: 16))
        }
        try contexts[0].give(.write(file, from: IOBuffer(zeroed: 4096), at: 0))
        try contexts[0].drain()
        // Each try of each task counts under ThreadSanitizer.
        let count = Sanitizer.isThread ? 400 : 4000
        let sum = await withTaskGroup(of: Int.self) { group in
            for i in 0..<count {
                let context = contexts[i % 2]
                group.addTask(executorPreference: context) {
                    // On the loop's thread a submission may come back full; then others go first.
                    while true {
                        let bytes = await withCheckedContinuation { continuation in
                            let answer = context.submit(
                                .read(
                                    file, into: IOBuffer(capacity: 16), at: Int64(i % 256) * 16,
                                    callback: ClosureCallback { event in
                                        continuation.resume(returning: event.transferred)
                                    }))
                            if !answer.isAccepted { continuation.resume(returning: -1) }
                        }
                        if bytes >= 0 { return context.isOnLoop ? bytes : -1000 }
                        await Task.yield()
                    }
                }
            }
            return await group.reduce(0, +)
        }
        #expect(sum == count * 16)
        for context in contexts { context.shutdown() }
    }

    @Test("tasks and producers take turns")
    func besideProducers() async throws {
        let context = try TestContext.make(depth: 4, try .with(queueCapacity: 4))
        let producer = try SteadyProducer(context)
        let turns = await Task(executorPreference: context) {
            // Optimised, 2000 turns are over before the producer's thread has begun.
            var turn = 0
            while turn < 2000
                || (turn < 20_000_000 && context.snapshot().statistics.completed == 0)
            {
                await Task.yield()
                turn += 1
            }
            // Here: until this test has its turn again, the producer would take a processor from others.
            producer.end()
            return context.snapshot().statistics.completed
        }.value
        #expect(turns > 0, "the producer was served meanwhile")
        #expect(producer.stop() > 0)
        context.shutdown()
    }

    @Test("jobs that come after the end run all the same, somewhere else", arguments: [0, 2])
    func afterShutdown(_ workers: Int) async throws {
        let context = try TestContext.make(try .with(workers: workers))
        // Tasks that are alive across the end.
        let isStarted = Latch(100)
        let canGoOn = Flag()
        let tasks = (0..<100).map { _ in
            Task(executorPreference: context) {
                isStarted.countDown()
                while !canGoOn.isUp { await Task.yield() }
                await Task.yield()
                return context.isOnLoop
            }
        }
        // Here, not in a task: they turn in circles until they may go on, and other tests would have to
        // share the processors with them until a task got its turn.
        #expect(isStarted.wait())
        context.shutdown()
        canGoOn.raise()
        for task in tasks { #expect(await !task.value) }
        let late = Task(executorPreference: context) { context.isOnLoop }
        #expect(await !late.value)
    }

    @Test("what jobs and settlements start at the very end is not lost")
    func startedByJobs() async throws {
        for round in 0..<100 {
            let name = "job-\(round)"
            var context: TestContext? = try TestContext.make(try .with(name: name))
            let ran = Counter()
            if let context {
                for _ in 0..<8 {
                    Task(executorPreference: context) {
                        ran.add()
                        // Unstructured, and its executor is about to end.
                        Task(executorPreference: context) {
                            await Task.yield()
                            ran.add()
                        }
                    }
                }
                if round % 2 == 0 { context.shutdown() }
            }
            context = nil
            #expect(await isEventually { ran.value == 16 }, "\(ran.value) of 16 ran")
            #expect(await isEventually { ThreadList.named(name).isEmpty })
        }
    }

    @Test("a context may end with the last task that prefers it")
    func lastReference() async throws {
        for round in 0..<50 {
            let name = "task-\(round)"
            let ran = Counter()
            func start() throws -> Task<Void, Never> {
                let context = try TestContext.make(try .with(name: name))
                return Task(executorPreference: context) {
                    for _ in 0..<10 { await Task.yield() }
                    ran.add()
                }
            }
            await (try start()).value
            #expect(ran.value == 1)
            #expect(await isEventually { ThreadList.named(name).isEmpty }, "the thread is there")
        }
    }

    /// Looks without holding up one of the few threads of Swift's pool.
    private func isEventually(_ isSo: @escaping @Sendable () -> Bool) async -> Bool {
        for _ in 0..<60_000 {
            if isSo() { return true }
            try? await Task.sleep(nanoseconds: 200_000)
        }
        return isSo()
    }
}
