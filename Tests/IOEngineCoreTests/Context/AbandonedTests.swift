import BasicContainers
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

@testable import IOEngineCore

/// What was given up and does not settle holds up nobody but those who must wait for it.
@Suite struct AbandonedTests {
    typealias Event = Named<ClosureCallback>
    typealias Log = HandDrivenTests.Log

    let log = Log()

    func make(
        _ script: TimedScript, maximumBytes: Int = .max,
        onSettled: (@Sendable (IOSettlement) -> Void)? = nil
    ) throws -> HandDrivenContext<ClosureCallback> {
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = 8
        configuration.maximumBytesInFlight = maximumBytes
        return try HandDrivenContext(script, configuration, onSettled: onSettled)
    }

    func end(_ context: HandDrivenContext<ClosureCallback>, _ script: TimedScript) {
        context.shutDown()
        for _ in 0..<50 where !context.hasEnded {
            script.thaw()
            _ = context.cycle()
        }
        #expect(context.hasEnded)
        #expect(script.violations == [])
    }

    /// Submits an event that is given up at once and stays at the driver.
    func abandon(
        _ event: consuming IOEvent<ClosureCallback>, _ context: HandDrivenContext<ClosureCallback>
    ) throws {
        guard
            case .accepted(let ticket) = context.submit(
                event, IOLimits(abandonAfter: .nanoseconds(0)))
        else { throw Missing() }
        _ = context.cycle()
        _ = context.cancelOnLoop(ticket)
        for _ in 0..<2 { _ = context.cycle() }
    }

    func chain(_ names: ClosedRange<Int>) -> UniqueArray<IOEvent<ClosureCallback>> {
        var events = UniqueArray<IOEvent<ClosureCallback>>()
        for name in names { events.append(Event.read(name, callback: log.callback)) }
        return events
    }

    // MARK: Slots

    @Test func aChainThatFindsTooFewSlotsIsRefusedAndOthersGoOn() throws {
        let script = TimedScript.steered(depth: 4)
        let context = try make(script)
        try abandon(Event.read(1, callback: log.callback), context)
        #expect(log.all.map(\.isSettled) == [false])
        #expect(context.submit(chain: chain(2...5)).isAccepted == true)
        _ = context.submit(Event.read(8, callback: log.callback))
        for _ in 0..<3 { _ = context.cycle() }
        #expect(script.begun.contains(8))
        try #require(log.names == [1, 2, 3, 4, 5])
        #expect(log.all[1].errno == .resourceTemporarilyUnavailable)
        #expect(log.all[2...].allSatisfy { $0.reason == .chainBroken })
        guard case .tooLong(_, let limit) = context.submitOnLoop(chain: chain(2...5)) else {
            throw Missing()
        }
        #expect(limit == 3)
        // One that fits is taken.
        #expect(context.submit(chain: chain(11...12)).isAccepted == true)
        _ = context.cycle()
        #expect(script.begun.contains(11))
        // As the first does once the kernel is done.
        script.answer(1)
        script.answer(8)
        script.answer(11)
        for _ in 0..<3 { _ = context.cycle() }
        script.answer(12)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(context.submit(chain: chain(22...25)).isAccepted == true)
        _ = context.cycle()
        #expect(script.begun == [22])
        end(context, script)
    }

    @Test func aContextWhoseSlotsAreAllStuckRefusesInsteadOfWaiting() throws {
        let script = TimedScript.steered(depth: 1)
        let context = try make(script)
        try abandon(Event.read(1, callback: log.callback), context)
        _ = context.submit(Event.read(2, callback: log.callback))
        for _ in 0..<3 { _ = context.cycle() }
        #expect(log.names == [1, 2])
        #expect(log.all.last?.errno == .resourceTemporarilyUnavailable)
        #expect(log.all.last?.isSettled == true)
        script.answer(1)
        _ = context.submit(Event.read(3, callback: log.callback))
        for _ in 0..<2 { _ = context.cycle() }
        #expect(script.begun == [3])
        end(context, script)
    }

    @Test func aLoopSaysHowLongAChainMayBe() throws {
        var steered = try SteeredLoop(depth: 4)
        let ticket = try steered.submit(
            Named.read(1), IOLimits(abandonAfter: .nanoseconds(0)))
        steered.loop.cancel(ticket)
        #expect(steered.run().map(\.isSettled) == [false])
        func chain(_ count: Int) -> UniqueArray<IOEvent<NoCallback>> {
            var events = UniqueArray<IOEvent<NoCallback>>()
            for name in 0..<count { events.append(Named.read(10 + name)) }
            return events
        }
        guard case .tooLong(let back, let limit) = steered.loop.submit(chain: chain(4)) else {
            Issue.record("must be too long")
            return
        }
        #expect(limit == 3 && back.count == 4)
        #expect(steered.loop.submit(chain: chain(3)).isAccepted == true)
    }

    // MARK: Bytes

    @Test func aTransferAboveTheBoundRunsAloneAmongTheLiving() throws {
        let script = TimedScript.steered(depth: 4)
        let context = try make(script, maximumBytes: 150)
        try abandon(Event.read(1, callback: log.callback), context)
        _ = context.submit(Event.read(2, length: 400, callback: log.callback))
        _ = context.submit(Event.read(3, callback: log.callback))
        for _ in 0..<3 { _ = context.cycle() }
        #expect(script.begun == [1, 2])
        script.answer(2)
        for _ in 0..<3 { _ = context.cycle() }
        #expect(script.begun == [1, 3])
        #expect(context.snapshot.bytesInFlight == 200)
        #expect(context.snapshot.unsettledBytes == 100)
        script.answer(1)
        script.answer(3)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(context.snapshot.bytesInFlight == 0)
        end(context, script)
    }

    @Test func aChainAboveTheBoundRunsAloneAmongTheLiving() throws {
        let script = TimedScript.steered(depth: 4)
        let context = try make(script, maximumBytes: 150)
        try abandon(Event.read(1, callback: log.callback), context)
        #expect(context.submit(chain: chain(2...3)).isAccepted == true)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(script.begun == [1, 2])
        script.answer(2)
        for _ in 0..<2 { _ = context.cycle() }
        script.answer(3)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(log.names == [1, 2, 3])
        end(context, script)
    }

    @Test func whatALoopHasGivenUpLeavesOneTransferAlone() throws {
        var steered = try SteeredLoop(maximumBytes: 150)
        let ticket = try steered.submit(Named.write(1), IOLimits(abandonAfter: .nanoseconds(0)))
        steered.loop.cancel(ticket)
        #expect(steered.run().map(\.isSettled) == [false])
        #expect(steered.bytes == 100)
        try steered.submit(Named.read(2))
        #expect(steered.bytes == 200)
        #expect(steered.refuses(Named.read(3, length: 1)) == true)
        _ = steered.answer(2)
        #expect(steered.bytes == 100)
        _ = steered.answer(1)
        #expect(steered.bytes == 0)
    }

    // MARK: Settlements

    @Test func settlementsThatNobodyTakesAreBounded() throws {
        var steered = try SteeredLoop(depth: 2)
        for name in 1...10 {
            let ticket = try steered.submit(
                Named.read(name), IOLimits(abandonAfter: .nanoseconds(0)))
            steered.loop.cancel(ticket)
            #expect(steered.run().map(\.isSettled) == [false])
            #expect(steered.answer(name) == [])
        }
        #expect(steered.loop.statistics.settledLate == 10)
        #expect(steered.loop.statistics.droppedSettlements == 8)
        #expect(steered.loop.takeSettlements().map(\.offset) == [1000, 2000])
    }

    /// The deallocator of adopted memory is the user's, and may submit: it runs when nothing of the
    /// loop is in the middle of a change, after the callbacks of the round.
    @Test func memoryOfWhatWasGivenUpIsFreedBetweenTwoSteps() throws {
        let script = TimedScript.steered(depth: 2)
        let context = try make(script)
        nonisolated(unsafe) let side = context
        let log = log
        let order = LockedValue<[String]>([])
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 16)
        let buffer = unsafe IOBuffer(adopting: memory, count: 0) { memory in
            unsafe memory.deallocate()
            order.withLock { $0.append("freed") }
            let answer = unsafe side.submitOnLoop(Event.read(7, callback: log.callback))
            let isAccepted = answer.isAccepted
            order.withLock { $0.append(isAccepted ? "accepted" : "refused") }
        }
        try abandon(Event.named(1, .read(Event.file, into: buffer, at: 1000)), context)
        _ = context.submit(
            Event.read(
                2, callback: ClosureCallback { _ in order.withLock { $0.append("called") } }))
        _ = context.cycle()
        script.answer(1)
        script.answer(2)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(order.withLock { $0 } == ["called", "freed", "accepted"])
        #expect(script.begun == [7])
        #expect(context.snapshot.unsettled == 0)
        end(context, script)
    }
}
