import BasicContainers
import IOEngineCore
import IOEngineMock
import SystemPackage
import Testing

/// Bugs that were here once.
@Suite struct RegressionTests {
    let file = FileDescriptor(rawValue: 3)

    func script(depth: Int = 4) -> Script {
        Script(seed: 1, depth: depth, fileSize: 65_536, regionSize: 4096)
    }

    func makeLoop(_ script: Script) throws -> IOLoop<NoCallback, MockDriver> {
        try IOLoop(depth: script.depth, driver: script.makeDriver())
    }

    @Test func aRefusedReadChangesNothingOfItsBuffer() throws {
        var loop = try makeLoop(script())
        _ = loop.submit(
            .read(file, into: IOBuffer(capacity: 16), at: 0, range: 1_000_000..<1_000_001))
        #expect(try unwrap(loop.next()).buffer.count == 0)
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 200), at: 0, range: 100..<200))
        #expect(try unwrap(loop.next()).buffer.count == 0)
        _ = loop.submit(.read(file, into: IOBuffer(zeroed: 4096), at: -1))
        #expect(try unwrap(loop.next()).buffer.count == 4096)
    }

    @Test func aFinishedEventWithASmallerBufferIsRefused() throws {
        var loop = try makeLoop(script())
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: 0))
        _ = loop.wait()
        var event = try unwrap(loop.next())
        event.buffer = IOBuffer(capacity: 16)
        _ = loop.submit(event)
        event = try unwrap(loop.next())
        #expect(event.errno == .invalidArgument && event.buffer.count == 0)
    }

    @Test func aContinuationWithAFreshBufferShowsNothingThatWasNotRead() throws {
        let script = script()
        script.decide = { _, _ in .short(1000) }
        var loop = try makeLoop(script)
        var event: IOEvent<NoCallback> = .read(file, into: IOBuffer(capacity: 4096), at: 0)
        event.shortTransfers = .handsOver
        _ = loop.submit(event)
        _ = loop.wait()
        event = try unwrap(loop.next())
        #expect(event.transferred == 1000 && event.buffer.count == 1000)
        event.buffer = IOBuffer(capacity: 4096)
        _ = loop.submit(event)
        event = try unwrap(loop.next())
        #expect(event.errno == .invalidArgument && event.buffer.count == 0)
    }

    @Test func aContinuationWithoutItsBuffersIsRefusedAndEnds() throws {
        let script = script()
        script.decide = { _, _ in .short(100) }
        var loop = try makeLoop(script)
        var buffers = UniqueArray<IOBuffer>()
        for _ in 0..<3 { buffers.append(IOBuffer(capacity: 500)) }
        var event: IOEvent<NoCallback> = .read(file, into: buffers, at: 0)
        event.shortTransfers = .handsOver
        _ = loop.submit(event)
        _ = loop.wait()
        event = try unwrap(loop.next())
        var taken = event.takeBuffers()
        #expect(taken.count == 3)
        taken.removeAll()
        _ = loop.submit(event)
        #expect(try unwrap(loop.next()).errno == .invalidArgument)
        #expect(loop.inFlight == 0)
    }

    @Test func anAbandonedContinuationHasNoBytes() throws {
        let script = script()
        script.decide = { _, _ in .short(512) }
        nonisolated(unsafe) var calls = 0
        do {
            var loop = try IOLoop<ClosureCallback, MockDriver>(
                depth: 4, driver: script.makeDriver())
            _ = loop.submit(
                .read(
                    file, into: IOBuffer(capacity: 8192), at: 0,
                    callback: ClosureCallback { event in
                        unsafe calls += 1
                        #expect(event.buffer.count == 0 && event.buffer.capacity == 0)
                    }))
            _ = loop.wait()
            loop.forEachFinished { _ in .release }
            script.late = 100
            script.failure = Errno.ioError.rawValue
        }
        #expect(unsafe calls == 1)
    }

    @Test func failuresBetweenProgressDoNotAbandon() throws {
        let script = script()
        script.decide = { _, _ in .short(512) }
        script.failsEverySecondSubmit = true
        nonisolated(unsafe) var moved = -1
        do {
            var loop = try IOLoop<ClosureCallback, MockDriver>(
                depth: 4, driver: script.makeDriver())
            _ = loop.submit(
                .read(
                    file, into: IOBuffer(capacity: 8192), at: 0,
                    callback: ClosureCallback { event in unsafe moved = event.transferred }))
        }
        #expect(unsafe moved == 8192)
    }

    @Test func runGoesOnOverPartsOfAnEvent() throws {
        let script = script()
        script.decide = { chance, _ in chance.happens(30) ? .errno(.interrupted) : .short(700) }
        var loop = try makeLoop(script)
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 8192), at: 0))
        let run = loop.run(minimum: 1)
        #expect(run.completed == 1 && loop.inFlight == 0)
    }

    @Test func aResultThatIsNoErrnoIsAnErrorAndNoTrap() throws {
        for wrong in [Int.min, -65_536, -5000] {
            let script = script()
            script.wrongResult = wrong
            var loop = try makeLoop(script)
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 64), at: 0))
            _ = loop.wait()
            #expect(try unwrap(loop.next()).errno == .ioError)
        }
    }

    @Test func aFailedSyncOutlastsAnObjectOnTheSameFile() throws {
        let object = try IODescriptor.open("/dev/zero", .readOnly)
        let plain = FileDescriptor(rawValue: object.rawValue)
        let script = script()
        script.inspects = { number throws(Errno) in try IODescriptorFacts(of: number) }
        script.decide = { _, request in request.action.isSync ? .errno(.ioError) : .whole }
        var loop = try makeLoop(script)
        func sync() throws -> Errno? {
            _ = loop.submit(.sync(plain))
            _ = loop.wait()
            return try unwrap(loop.next()).errno
        }
        #expect(try sync() == .ioError)
        script.decide = { _, _ in .whole }
        _ = loop.submit(.read(object, into: IOBuffer(capacity: 8), at: 0))
        _ = loop.wait()
        #expect(try unwrap(loop.next()).errno == nil)
        #expect(try sync() == .ioError)
    }

    @Test func anEventPutInTheOthersPlaceHasItsOwnDescriptor() throws {
        let script = script()
        var loop = try makeLoop(script)
        let one = try IODescriptor.open("/dev/zero", .readOnly)
        let two = try IODescriptor.open("/dev/null", .readOnly)
        _ = loop.submit(.read(one, into: IOBuffer(capacity: 8), at: 0))
        for round in 0..<6 {
            _ = loop.wait()
            loop.forEachFinished { event in
                #expect(event.errno == nil)
                switch round {
                case 0, 1: event.restart()
                case 2: event = .read(two, into: IOBuffer(capacity: 8), at: 0)
                case 3: event = .read(file, into: IOBuffer(capacity: 8), at: 0)
                case 4: event = .read(one, into: IOBuffer(capacity: 8), at: 0)
                default: return .release
                }
                return .submitAgain
            }
        }
        #expect(loop.inFlight == 0)
        // Neither is held any more.
        #expect(try one.close())
        #expect(try two.close())
    }

    @Test func instantsSaturateAtTheRightEnd() {
        #expect(
            IOInstant(nanoseconds: .min).advanced(by: .nanoseconds(-1)).nanoseconds == .min)
        #expect(IOInstant(nanoseconds: .max).advanced(by: .nanoseconds(1)).nanoseconds == .max)
        #expect(IOInstant(nanoseconds: 5).advanced(by: .seconds(Int64.min)).nanoseconds == .min)
    }
}
