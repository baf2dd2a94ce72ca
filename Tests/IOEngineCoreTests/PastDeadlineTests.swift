import BasicContainers
import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// Events whose deadline has passed when they are submitted: the driver sees nothing of them.
@Suite struct PastDeadlineTests {
    let device = MockDevice()

    private func submit(
        _ loop: inout IOLoop<NoCallback, MockDriver>, _ event: consuming IOEvent<NoCallback>,
        _ limits: IOLimits
    ) {
        let isAccepted = loop.submit(event, limits).isAccepted
        #expect(isAccepted)
    }

    @Test func isRefusedByALoop() throws {
        var loop: IOLoop<NoCallback, MockDriver> = try IOLoop(
            depth: 4, driver: device.makeDriver(depth: 4), maximumBytes: 64)
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        device.advanceClock(by: .seconds(1))
        for deadline in [loop.now, IOInstant(nanoseconds: 1), IOInstant(nanoseconds: .min)] {
            let limits = IOLimits(deadline: deadline)
            submit(&loop, .write(file, from: IOBuffer(zeroed: 64), at: 0), limits)
            #expect(loop.inFlight == 1)
            let event = try unwrap(loop.next())
            #expect(event.errno == .timedOut && event.isDone && event.buffer.count == 64)
            guard case .failure(let error) = event.result else { continue }
            #expect(error.reason == .deadlinePassed)
        }
        #expect(device.journal.isEmpty && loop.inFlight == 0)
        #expect(loop.statistics.deadlinesPassed == 3)
        let later = IOLimits(deadline: loop.now.advanced(by: .nanoseconds(1)))
        submit(&loop, .write(file, from: IOBuffer(zeroed: 64), at: 0), later)
        _ = loop.wait()
        #expect(try unwrap(loop.next()).errno == nil)
        #expect(device.journal.count == 1)
    }

    @Test func everyMemberOfAChainIsRefused() throws {
        var loop: IOLoop<NoCallback, MockDriver> = try IOLoop(
            depth: 4, driver: device.makeDriver(depth: 4))
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        device.advanceClock(by: .seconds(1))
        var chain = UniqueArray<IOEvent<NoCallback>>()
        for _ in 0..<3 { chain.append(.write(file, from: IOBuffer(zeroed: 64), at: 0)) }
        let isAccepted = loop.submit(chain: chain, IOLimits(deadline: loop.now)).isAccepted
        #expect(isAccepted)
        for _ in 0..<3 {
            _ = loop.wait(minimum: 0)
            #expect(try unwrap(loop.next()).errno == .timedOut)
        }
        #expect(device.journal.isEmpty && loop.inFlight == 0)
    }

    @Test func isRefusedByAContext() throws {
        let device = device
        device.advanceClock(by: .seconds(1))
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        let context = try IOContext<ClosureCallback, MockDriver>(depth: 4) {
            device.makeDriver(depth: 4)
        }
        let errnos = LockedValue<[Int32]>([])
        let latch = Latch(4)
        func write() -> IOEvent<ClosureCallback> {
            .write(
                file, from: IOBuffer(zeroed: 64), at: 0,
                callback: ClosureCallback { event in
                    let errno = event.errno?.rawValue ?? 0
                    errnos.withLock { $0.append(errno) }
                    latch.countDown()
                })
        }
        let limits = IOLimits(deadline: IOInstant(nanoseconds: 1))
        let isFirstAccepted = context.submit(write(), limits).isAccepted
        var chain = UniqueArray<IOEvent<ClosureCallback>>()
        for _ in 0..<3 { chain.append(write()) }
        let isChainAccepted = context.submit(chain: chain, limits).isAccepted
        #expect(isFirstAccepted && isChainAccepted)
        #expect(latch.wait())
        context.shutdown()
        // ETIMEDOUT.
        #expect(errnos.withLock { $0 } == [110, 110, 110, 110])
        #expect(device.journal.isEmpty)
    }
}
