import BasicContainers
import Foundation
import IOEngineCore
import IOEngineMock
import SystemPackage
import Testing

@Suite struct LoopTests {
    let file = FileDescriptor(rawValue: 3)

    func script(depth: Int = 4) -> Script {
        Script(seed: 1, depth: depth, fileSize: 65_536, regionSize: 4096)
    }

    func makeLoop(_ script: Script, depth: Int? = nil) throws -> IOLoop<NoCallback, MockDriver> {
        try IOLoop(depth: depth ?? script.depth, driver: script.makeDriver())
    }

    @Test(arguments: [0, -1, 5, 65_537, Int.max])
    func aDepthOutOfRangeIsAnErrorThatNamesTheRange(_ depth: Int) throws {
        let error = #expect(throws: IOError.self) { _ = try makeLoop(script(), depth: depth) }
        #expect(error?.errno == .invalidArgument)
        #expect(error?.description.contains("use 1 to 4") == true)
    }

    @Test func aFullQueueGivesTheEventBack() throws {
        var loop = try makeLoop(script(), depth: 1)
        #expect(loop.submit(.noOperation()).isAccepted == true)
        guard case .full(let event) = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0))
        else {
            Issue.record("must be full")
            return
        }
        #expect(event.buffer.capacity == 8)
        _ = loop.wait()
        #expect(loop.next() != nil && loop.next() == nil)
        #expect(loop.submit(event).isAccepted == true)
    }

    @Test func waitingWithNothingInFlightReturnsAtOnce() throws {
        var loop = try makeLoop(script())
        #expect(loop.wait(minimum: 3) == .ready)
        let run = loop.run()
        #expect(run.completed == 0 && run.outcome == .ready)
    }

    @Test func badInputArrivesAsTheResultAndTouchesNothing() throws {
        let script = script()
        var loop = try makeLoop(script, depth: 1)
        func reason(
            _ event: consuming IOEvent<NoCallback>
        ) throws -> (IOError.Reason, Errno) {
            #expect(loop.submit(event).isAccepted == true)
            #expect(loop.inFlight == 1)
            let done = try unwrap(loop.next())
            #expect(done.isDone == true)
            guard case .failure(let error) = done.result else {
                throw Errno.notSupported
            }
            #expect(!error.advice.isEmpty && error.description.contains("failed"))
            return (error.reason, error.errno)
        }
        let none = FileDescriptor(rawValue: -1)
        #expect(
            try reason(.read(none, into: IOBuffer(capacity: 8), at: 0)) == (
                .negativeDescriptor, .badFileDescriptor
            ))
        #expect(
            try reason(.read(file, into: IOBuffer(capacity: 8), at: -1)) == (
                .negativeOffset, .invalidArgument
            ))
        #expect(try reason(.read(file, into: IOBuffer(), at: 0)) == (.zeroLength, .invalidArgument))
        #expect(
            try reason(.write(file, from: IOBuffer(capacity: 8), at: 0)) == (
                .zeroLength, .invalidArgument
            ))
        #expect(
            try reason(.read(file, into: IOBuffer(capacity: 8), at: .max)) == (
                .offsetTooLarge, .invalidArgument
            ))
        #expect(
            try reason(.read(file, into: IOBuffer(zeroed: 8), at: 0, range: 4..<9)) == (
                .rangeBeyondBuffer, .invalidArgument
            ))
        #expect(
            try reason(.read(file, into: IOBuffer(zeroed: 8), at: 0, range: -4..<4)) == (
                .rangeBeyondBuffer, .invalidArgument
            ))
        #expect(
            try reason(.read(file, into: IOBuffer(zeroed: 8), at: 0, range: 3..<3)) == (
                .zeroLength, .invalidArgument
            ))
        #expect(
            try reason(.read(file, into: IOBuffer(capacity: 8), at: 0, range: 4..<8)) == (
                .rangeBeyondValidBytes, .invalidArgument
            ))
        #expect(
            try reason(
                .write(file, from: IOBuffer(copying: [1, 2], capacity: 8), at: 0, range: 0..<4))
                == (.rangeBeyondValidBytes, .invalidArgument))
        #expect(try reason(.allocate(file, at: 0, length: 0)) == (.zeroLength, .invalidArgument))
        #expect(
            try reason(.allocate(file, at: -5, length: 1)) == (.negativeOffset, .invalidArgument))
        #expect(
            try reason(.allocate(file, at: .max, length: 1)) == (.offsetTooLarge, .invalidArgument))
        #expect(
            try reason(.read(file, into: UniqueArray<IOBuffer>(), at: 0)) == (
                .zeroLength, .invalidArgument
            ))
        #expect(script.queue.staged.isEmpty && script.device.counts.submits == 0)
        #expect(loop.statistics.failed == 14)
    }

    @Test func aFinishedEventMustBeRestarted() throws {
        var loop = try makeLoop(script())
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0))
        _ = loop.wait()
        var event = try unwrap(loop.next())
        #expect(event.isDone && event.transferred == 8)
        _ = loop.submit(event)
        event = try unwrap(loop.next())
        guard case .failure(let error) = event.result else {
            Issue.record("must fail")
            return
        }
        #expect(error.reason == .alreadyDone)
        event.restart(at: 16)
        _ = loop.submit(event)
        _ = loop.wait()
        event = try unwrap(loop.next())
        #expect(event.errno == nil && event.transferred == 8 && event.offset == 16)
    }

    @Test func anEventAboveTheKernelsCapIsSplitAndItsPartsRunOneAfterTheOther() throws {
        let script = script()
        var lengths: [(Int64, Int)] = []
        // 5 GiB of addresses, never touched.
        let length = 5 << 30
        let memory = unsafe UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(bitPattern: 1 << 20), count: length)
        script.answersWithoutMoving = true
        script.decide = { _, request in
            lengths.append((request.offset, request.length))
            return .whole
        }
        var loop = try makeLoop(script)
        _ = loop.submit(
            .read(file, into: unsafe IOBuffer(adopting: memory, count: 0) { _ in }, at: 7))
        while loop.inFlight > 0 {
            _ = loop.wait()
            #expect(script.queue.inFlight.count + script.queue.staged.count <= 1)
            if let event = loop.next() {
                #expect(event.transferred == length && event.isDone && event.buffer.count == length)
            }
        }
        let cap = 0x7fff_f000
        #expect(lengths.map(\.1) == [cap, cap, length - 2 * cap])
        #expect(lengths.map(\.0) == [7, 7 + Int64(cap), 7 + 2 * Int64(cap)])
        #expect(loop.statistics.continuations == 2 && loop.statistics.bytesRead == UInt64(length))
    }

    @Test func aDriverWithoutVectorsGetsOneBufferAtATime() throws {
        let script = script()
        script.maximumVectors = 0
        var loop = try makeLoop(script)
        var buffers = UniqueArray<IOBuffer>()
        for size in [10, 20, 30] { buffers.append(IOBuffer(capacity: size)) }
        _ = loop.submit(.read(file, into: buffers, at: 100))
        while loop.inFlight > 0 {
            _ = loop.wait()
            if var event = loop.next() {
                #expect(event.transferred == 60)
                var taken = event.takeBuffers()
                #expect(taken.count == 3 && taken[1].count == 20)
                #expect(taken[2][0] == script.byte(at: 130))
                taken.removeAll()
            }
        }
        #expect(script.allRequests.map(\.action) == [.read, .read, .read])
    }

    @Test func aFailedSyncStaysVisibleUntilItIsCleared() throws {
        let script = script()
        var fails = true
        script.decide = { _, request in
            request.action.isSync && fails ? .errno(.noSpace) : .whole
        }
        var loop = try makeLoop(script)
        func sync() throws -> (Errno?, IOError.Reason?) {
            _ = loop.submit(.sync(file))
            _ = loop.wait()
            let event = try unwrap(loop.next())
            if case .failure(let error) = event.result { return (error.errno, error.reason) }
            return (nil, nil)
        }
        #expect(try sync() == (.noSpace, .dataMayBeLost))
        fails = false
        // The next one would succeed for data that is lost.
        #expect(try sync() == (.noSpace, .stickySyncError))
        _ = loop.submit(.write(file, from: IOBuffer(zeroed: 8), at: 0))
        _ = loop.wait()
        #expect(loop.next()?.errno == nil)
        loop.clearSyncError(file)
        #expect(try sync() == (nil, nil))
    }

    @Test func drainingHastensAndClosesTheIntakeForItsTime() throws {
        let script = script()
        var loop = try IOLoop<ClosureCallback, MockDriver>(
            depth: 4, driver: script.makeDriver())
        nonisolated(unsafe) var closed = 0
        for _ in 0..<3 {
            _ = loop.submit(
                .noOperation(
                    callback: ClosureCallback { event, submitter in
                        if case .closed = submitter.submit(event) { unsafe closed += 1 }
                    }))
        }
        loop.drain()
        #expect(unsafe closed == 3 && loop.inFlight == 0 && script.device.counts.hastens == 1)
        #expect(loop.submit(.noOperation()).isAccepted == true)
    }

    @Test func callbacksThatAreRefusedForEverDoNotKeepRunFromReturning() throws {
        var loop = try IOLoop<ClosureCallback, MockDriver>(
            depth: 2, driver: script().makeDriver())
        @Sendable func again(
            _ event: consuming IOEvent<ClosureCallback>,
            _ submitter: borrowing IOSubmitter<ClosureCallback>
        ) {
            event.callback = ClosureCallback(again)
            _ = submitter.submit(event)
        }
        _ = loop.submit(
            .read(file, into: IOBuffer(), at: 0, callback: ClosureCallback(again)))
        let run = loop.run()
        #expect(run.completed >= 1 && run.completed <= 4)
    }

    @Test func whatADeadDriverCannotSettleIsAbandonedWithoutItsMemory() throws {
        let script = script()
        script.late = 100
        nonisolated(unsafe) var calls = 0
        do {
            var loop = try IOLoop<ClosureCallback, MockDriver>(
                depth: 4, driver: script.makeDriver())
            for offset in 0..<3 {
                _ = loop.submit(
                    .read(
                        file, into: IOBuffer(capacity: 64), at: Int64(offset),
                        callback: ClosureCallback { event in
                            unsafe calls += 1
                            #expect(!event.isSettled && event.isDone)
                            #expect(event.buffer.capacity == 0)
                            #expect(event.errno == .canceled)
                        }))
            }
            _ = loop.wait(minimum: 0)
            script.failure = Errno.ioError.rawValue
            #expect(loop.wait() == .failed(errno: Errno.ioError.rawValue))
        }
        #expect(unsafe calls == 3)
    }

    /// Its requests may still be with the kernel, under the numbers of its slots.
    @Test func aLoopWhoseDriverDiedWhileItDrainedTakesNothingMore() throws {
        let script = script()
        script.late = 100
        var loop = try makeLoop(script)
        _ = loop.submit(.write(file, from: IOBuffer(zeroed: 8), at: 0))
        _ = loop.wait(minimum: 0)
        script.failure = Errno.ioError.rawValue
        loop.drain()
        #expect(loop.inFlight == 0)
        script.failure = nil
        guard case .closed = loop.submit(.sync(file)) else {
            Issue.record("must be closed")
            return
        }
        loop.drain()
        #expect(script.violations.isEmpty)
    }

    @Test func aDriverThatIsFullWithNothingInFlightFailsTheEventInsteadOfHanging() throws {
        let script = script()
        script.spuriouslyFull = 100
        var loop = try makeLoop(script)
        _ = loop.submit(.noOperation())
        while loop.inFlight > 0 {
            _ = loop.wait()
            if let event = loop.next() {
                guard case .failure(let error) = event.result else {
                    Issue.record("?")
                    return
                }
                #expect(error.reason == .driverFull)
            }
        }
    }

    /// Takes nothing, and answers at every turn what was answered before.
    private final class Repeating: MockConductor {
        func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging { .full }
        func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
            queue.deliver(IOCompletion(token: IOToken(slot: 0, generation: 7), result: 1))
            return .ready
        }
    }

    @Test func aDriverThatIsFullAndRepeatsItselfFailsTheEventInsteadOfHanging() throws {
        let conductor = Repeating()
        var loop = try IOLoop<NoCallback, MockDriver>(
            depth: 1, driver: MockDevice().makeDriver(depth: 1, conductor: conductor))
        _ = loop.submit(.noOperation())
        var waits = 0
        while loop.inFlight > 0, waits < 1000 {
            waits += 1
            _ = loop.wait()
            while let event = loop.next() {
                guard case .failure(let error) = event.result else { throw Errno.timedOut }
                #expect(error.reason == .driverFull)
            }
        }
        #expect(loop.inFlight == 0)
    }

    @Test func anEventThatHasBegunIsNotCancelledUnseen() throws {
        // Without lists it goes down buffer by buffer: the second was not begun, but the event was.
        let script = script()
        script.maximumVectors = 0
        var loop = try makeLoop(script)
        var buffers = UniqueArray<IOBuffer>()
        for _ in 0..<2 { buffers.append(IOBuffer(capacity: 4096)) }
        guard case .accepted(let ticket) = loop.submit(.read(file, into: buffers, at: 0)) else {
            throw Errno.noBufferSpace
        }
        _ = loop.wait()
        let isFinished = loop.next() != nil
        #expect(!isFinished)
        script.cancelAnswer = .cancelled
        #expect(loop.cancel(ticket) == .requested)
        script.wrongResult = -Int(Errno.canceled.rawValue)
        _ = loop.wait()
        guard let event = loop.next() else { throw Errno.timedOut }
        let (transferred, errno) = (event.transferred, event.errno)
        #expect(errno == .canceled && transferred == 4096)
    }

    @Test func anotherThreadMayNotDriveTheLoop() async {
        await #expect(processExitsWith: .failure) {
            nonisolated(unsafe) var loop = try IOLoop<NoCallback, MockDriver>(
                depth: 1,
                driver: Script(seed: 1, depth: 1, fileSize: 1, regionSize: 1).makeDriver())
            await onAnotherThread { _ = unsafe loop.wait(minimum: 0) }
        }
    }
}

/// Runs `body` on a thread of its own and waits for it.
func onAnotherThread(_ body: @escaping () -> Void) async {
    nonisolated(unsafe) let body = body
    let thread = Thread { unsafe body() }
    thread.start()
    while !thread.isFinished { await Task.yield() }
}
