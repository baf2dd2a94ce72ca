import IOEngineCore
import IOEngineMock
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Tasks that await events, over drivers of which it is known when a request ends.
@Suite struct PerformTests {
    typealias TaskContext = IOContext<TaskCallback, MockDriver>

    /// Looks without holding up one of the few threads of Swift's pool.
    private func isEventually(_ isSo: () -> Bool) async -> Bool {
        for _ in 0..<60_000 {
            if isSo() { return true }
            try? await Task.sleep(nanoseconds: 200_000)
        }
        return isSo()
    }

    private func make(
        depth: Int = 4, _ configuration: IOContextConfiguration = .init()
    ) throws -> (MockDevice, IODescriptor, TaskContext) {
        let device = MockDevice()
        let file = device.makeFile([UInt8](repeating: 7, count: 4096))
        let context = try TaskContext(depth: depth, configuration: configuration) {
            device.makeDriver(depth: depth)
        }
        return (device, file, context)
    }

    @Test("an event comes back with its result and its buffer, and can be performed again")
    func roundTrip() async throws {
        let (device, file, context) = try make()
        var event = try await context.perform(.read(file, into: IOBuffer(capacity: 64), at: 0))
        #expect(try event.get() == 64)
        let first = event.buffer[0]
        #expect(first == 7)
        device.answer(IOFault.reads, with: .fails(.ioError))
        event.restart(at: 64)
        let again = try await context.perform(event)
        let (errno, capacity) = (again.errno, again.buffer.capacity)
        #expect(errno == .ioError, "a failed operation is no error of the function")
        #expect(capacity >= 64, "and the buffer comes back")
        context.shutdown()
    }

    @Test("a cancelled task cancels its event and gets it back", arguments: [true, false])
    func cancellation(_ onLoop: Bool) async throws {
        let (device, file, context) = try make()
        device.answer(IOFault.reads, with: .isHeld)
        let task = Task(executorPreference: onLoop ? context : nil) {
            let event = try await context.perform(
                .read(file, into: IOBuffer(capacity: 64), at: 0))
            return (event.errno, event.buffer.capacity >= 64, Task.isCancelled)
        }
        #expect(await isEventually { context.snapshot().inFlight == 1 })
        task.cancel()
        let (errno, hasBuffer, isCancelled) = try await task.value
        #expect(errno == .canceled && hasBuffer && isCancelled)
        context.shutdown()
    }

    @Test("an event that was too late to cancel comes back with success")
    func tooLate() async throws {
        let (_, file, context) = try make()
        // Cancelled on the loop's own thread, behind the submission and before the completion.
        let results = try await Task(executorPreference: context) {
            var results: [Int] = []
            for _ in 0..<100 {
                async let bytes = context.perform(
                    .read(file, into: IOBuffer(capacity: 64), at: 0)
                ).transferred
                results.append(try await bytes)
            }
            return results
        }.value
        #expect(results == Array(repeating: 64, count: 100))
        context.shutdown()
    }

    @Test("a task that is cancelled already submits nothing")
    func cancelledBefore() async throws {
        let (device, file, context) = try make()
        let errno = try await Task {
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            return try await context.perform(.read(file, into: IOBuffer(capacity: 64), at: 0)).errno
        }.value
        #expect(errno == .canceled)
        #expect(device.journal.isEmpty)
        #expect(context.snapshot().statistics.submitted == 0)
        context.shutdown()
    }

    @Test("tasks beyond depth and queue wait for room, and all end", arguments: [true, false])
    func room(_ onLoop: Bool) async throws {
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = 2
        let (device, file, context) = try make(configuration)
        // What is in flight stays there until all have been submitted.
        device.answer(IOFault.reads, with: .isHeld, .isHeld, .isHeld, .isHeld)
        let sum = try await withThrowingTaskGroup(of: Int.self) { group in
            for i in 0..<64 {
                group.addTask(executorPreference: onLoop ? context : nil) {
                    try await context.perform(
                        .read(file, into: IOBuffer(capacity: 16), at: Int64(i) * 16)
                    ).transferred
                }
            }
            #expect(
                await isEventually {
                    let now = context.snapshot()
                    return now.inFlight == 4 && now.queued == 60
                }, "\(context.snapshot())")
            for _ in 0..<4 { device.release() }
            return try await group.reduce(0, +)
        }
        #expect(sum == 64 * 16)
        #expect(context.snapshot().statistics.submitted == 64)
        context.shutdown()
    }

    @Test("what waits for room can be cancelled")
    func cancelledWaiting() async throws {
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = 2
        let (device, file, context) = try make(depth: 1, configuration)
        // Each, because one that is cancelled makes room for the next.
        for _ in 0..<16 { device.answer(IOFault.reads, with: .isHeld) }
        let tasks = (0..<16).map { _ in
            Task {
                try await context.perform(.read(file, into: IOBuffer(capacity: 16), at: 0)).errno
            }
        }
        #expect(await isEventually { context.snapshot().queued == 15 })
        for task in tasks { task.cancel() }
        for task in tasks { #expect(try await task.value == .canceled) }
        context.shutdown()
    }

    @Test("a deadline ends an event that is performed")
    func deadline() async throws {
        let (device, file, context) = try make()
        device.answer(IOFault.reads, with: .isHeld)
        let limits = IOLimits(deadline: IOInstant(nanoseconds: 1_000_000))
        let event = try await context.perform(
            .read(file, into: IOBuffer(capacity: 16), at: 0), limits: limits)
        let errno = event.errno
        #expect(errno == .timedOut)
        context.shutdown()
    }

    @Test("after a shutdown it throws, and says what to do")
    func afterShutdown() async throws {
        let (_, file, context) = try make()
        context.shutdown()
        let error = await #expect(throws: IOError.self) {
            _ = try await context.perform(.read(file, into: IOBuffer(capacity: 64), at: 0))
        }
        #expect(error?.errno == .canceled && error?.operation == .event(.read))
        #expect(error?.advice.contains("shut down") == true)
    }

    @Test("across a shutdown each task gets its event or the error, once", arguments: [0, 2])
    func shutdown(_ workers: Int) async throws {
        for round in 0..<50 {
            var configuration = IOContextConfiguration()
            configuration.queueCapacity = 2
            if workers > 0 { configuration.workers = try IOWorkers(count: workers) }
            let (_, file, context) = try make(configuration)
            let isUnderWay = Flag()
            let ended = await withTaskGroup(of: Int.self) { group in
                for i in 0..<16 {
                    group.addTask(executorPreference: i % 2 == 0 ? context : nil) {
                        var count = 0
                        while true {
                            do throws(IOError) {
                                let event = try await context.perform(
                                    .read(file, into: IOBuffer(capacity: 16), at: 0))
                                if event.transferred == 16 { count += 1 }
                            } catch {
                                return error.errno == .canceled ? count : -1_000_000
                            }
                            isUnderWay.raise()
                        }
                    }
                }
                #expect(await isEventually { isUnderWay.isUp })
                if round % 2 == 0 {
                    context.shutdown()
                } else {
                    _ = context.shutdown(deadline: IOInstant(nanoseconds: 0))
                }
                return await group.reduce(0, +)
            }
            #expect(ended > 0)
        }
    }

    /// A program's own callback: some events have callbacks, some are awaited, some are lost.
    enum OwnCallback: ~Copyable, IOAwaitableCallback {
        case counts(Counter)
        case task(IOAwaiter<OwnCallback>)

        init(resuming awaiter: consuming IOAwaiter<OwnCallback>) { self = .task(awaiter) }

        consuming func call(
            _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
        ) {
            switch consume self {
            case .counts(let counter): counter.add()
            case .task(let awaiter):
                // An event of 8 bytes is forgotten: its awaiter ends here.
                if event.length != 8 { awaiter.resume(returning: event) }
            }
        }
    }

    @Test("a callback type of one's own, which also drops an awaiter")
    func ownCallback() async throws {
        let device = MockDevice()
        let file = device.makeFile([UInt8](repeating: 7, count: 4096))
        let context = try IOContext<OwnCallback, MockDriver>(depth: 4) {
            device.makeDriver(depth: 4)
        }
        let counter = Counter()
        let ticket = context.submit(.noOperation(callback: .counts(counter))).orCancel()
        #expect(ticket != nil)
        let bytes = try await context.perform(
            .read(file, into: IOBuffer(capacity: 64), at: 0)
        ).get()
        #expect(bytes == 64)
        let error = await #expect(throws: IOError.self) {
            _ = try await context.perform(.read(file, into: IOBuffer(capacity: 8), at: 0))
        }
        #expect(error?.advice.contains("awaiter") == true)
        context.shutdown()
        #expect(counter.value == 1)
    }

    @Test("contexts with closures can be awaited, too")
    func closures() async throws {
        let device = MockDevice()
        let file = device.makeFile([UInt8](repeating: 7, count: 4096))
        let context = try IOContext<ClosureCallback, MockDriver>(depth: 4) {
            device.makeDriver(depth: 4)
        }
        let bytes = try await context.perform(
            .read(file, into: IOBuffer(capacity: 64), at: 0)
        ).get()
        #expect(bytes == 64)
        context.shutdown()
    }
}

/// A flag that one task raises and others look at.
final class Flag: Sendable {
    private let state = Atomic<Bool>(false)
    var isUp: Bool { state.load(ordering: .acquiring) }
    func raise() { state.store(true, ordering: .releasing) }
}
