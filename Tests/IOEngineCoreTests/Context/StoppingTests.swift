import BasicContainers
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

@testable import IOEngineCore

/// Cancellation, deadlines, and events that are given up.
@Suite struct StoppingTests {
    typealias Event = Named<NoCallback>
    typealias End = SteeredLoop.End

    func deadline(_ steered: borrowing SteeredLoop, in nanoseconds: Int64) -> IOLimits {
        IOLimits(deadline: IOInstant(nanoseconds: steered.script.clock + nanoseconds))
    }

    // MARK: Answers of a cancellation

    @Test func whatIsHeldIsCancelled() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        let ticket = try steered.submit(Event.sync(2))
        #expect(steered.loop.cancel(ticket) == .cancelled)
        #expect(steered.loop.cancel(ticket) == .tooLate)
        #expect(steered.run() == [.cancelled(2)])
        #expect(steered.loop.cancel(ticket) == .unknown)
        #expect(steered.begun == [1])
    }

    @Test func whatWaitsForRoomIsCancelledUnlessItHasBegun() throws {
        var steered = try SteeredLoop()
        let begun = try steered.submit(Event.write(1))
        steered.script.answer(1, 40)
        steered.script.fullFor = 1000
        let fresh = try steered.submit(Event.write(2))
        #expect(steered.run() == [] && steered.begun == [])
        #expect(steered.loop.cancel(fresh) == .cancelled)
        #expect(steered.loop.cancel(begun) == .requested)
        #expect(steered.run() == [.cancelled(2), .cancelled(1, 40)])
        #expect(steered.begun == [])
    }

    @Test func whatIsAtTheDriverGetsTheDriversAnswer() throws {
        var steered = try SteeredLoop()
        steered.script.stoppings = [.obeys]
        // Staged, not handed down.
        var ticket = try steered.submit(Event.read(1))
        #expect(steered.loop.cancel(ticket) == .cancelled)
        #expect(steered.loop.cancel(ticket) == .requested)
        #expect(steered.run() == [.cancelled(1)])
        // In the kernel.
        ticket = try steered.submit(Event.read(2))
        _ = steered.run()
        #expect(steered.loop.cancel(ticket) == .requested)
        #expect(steered.answer(2, -125) == [.cancelled(2)])
        steered.script.stoppings = [.never]
        ticket = try steered.submit(Event.read(3))
        _ = steered.run()
        #expect(steered.loop.cancel(ticket) == .tooLate)
        #expect(steered.answer(3) == [.success(3, 100)])
    }

    @Test func partsThatAreLeftOfWhatIsStoppedAreNotDone() throws {
        var steered = try SteeredLoop()
        for result in [60, -4, -11] {
            try steered.submit(Event.read(1))
            #expect(steered.loop.cancelAll() == 1)
            #expect(steered.answer(1, result) == [.cancelled(1, max(0, result))])
            #expect(steered.begun == [])
        }
    }

    /// `tooLate` promises that the event ends as if nobody had asked.
    @Test func whatWasToldTooLateIsDoneToItsEnd() throws {
        for results in [[60], [-4], [-11, 30]] {
            var steered = try SteeredLoop()
            let ticket = try steered.submit(Event.read(1))
            #expect(steered.loop.cancel(ticket) == .tooLate)
            for result in results { #expect(steered.answer(1, result) == []) }
            #expect(steered.answer(1) == [.success(1, 100)])
            #expect(steered.loop.statistics.stopped == 0)
        }
    }

    /// The parts that are left can be stopped, whatever the driver says of the one that it has.
    @Test func oneOfSeveralPartsIsAsked() throws {
        var steered = try SteeredLoop()
        var buffers = UniqueArray<IOBuffer>()
        for _ in 0..<6 { buffers.append(IOBuffer(capacity: 10)) }
        let ticket = try steered.submit(
            Event.named(1, .read(Event.file, into: buffers, at: 1000)))
        #expect(steered.loop.cancel(ticket) == .requested)
        #expect(steered.answer(1) == [.cancelled(1, 40)])
    }

    @Test func whatMayBeGivenUpIsAsked() throws {
        var steered = try SteeredLoop()
        let ticket = try steered.submit(Event.read(1), IOLimits(abandonAfter: .nanoseconds(5)))
        #expect(steered.loop.cancel(ticket) == .requested)
        #expect(steered.answer(1, 60) == [.cancelled(1, 60)])
    }

    /// Its deadline still stands.
    @Test func aDeadlineStopsWhatWasToldTooLate() throws {
        var steered = try SteeredLoop()
        let ticket = try steered.submit(Event.read(1), deadline(steered, in: 10))
        #expect(steered.loop.cancel(ticket) == .tooLate)
        #expect(steered.answer(1, 60) == [])
        steered.script.clock += 10
        #expect(steered.run() == [])
        #expect(steered.answer(1, 10) == [.failure(1, .timedOut, .deadlinePassed, 70)])
    }

    @Test func aFailureOfItsOwnIsNoCancellation() throws {
        var steered = try SteeredLoop()
        let ticket = try steered.submit(Event.read(1))
        steered.loop.cancel(ticket)
        #expect(steered.answer(1, -5) == [.failure(1, .ioError, .kernel)])
        // And a cancellation that nobody asked for is the kernel's.
        try steered.submit(Event.read(2))
        #expect(steered.answer(2, -125) == [.failure(2, .canceled, .kernel)])
    }

    @Test func whatIsFinishedIsTooLate() throws {
        var steered = try SteeredLoop()
        // Refused, and not handed over yet.
        let refused = try steered.submit(
            Event.named(1, .read(Event.file, into: IOBuffer(capacity: 8), at: -1)))
        #expect(steered.loop.cancel(refused) == .tooLate)
        #expect(steered.run() == [.failure(1, .invalidArgument, .negativeOffset)])
        // Reaped, and not looked at yet.
        let one = try steered.submit(Event.read(2))
        let two = try steered.submit(Event.read(3))
        _ = steered.loop.wait(minimum: 0)
        steered.script.answer(2)
        steered.script.answer(3)
        #expect(try unwrap(steered.loop.next()).priority.rawValue == 2)
        #expect(steered.loop.cancel(one) == .unknown)
        #expect(steered.loop.cancel(two) == .tooLate)
        #expect(steered.run() == [.success(3, 100)])
    }

    @Test func aStaleTicketNamesNothingAndHarmsNobody() throws {
        var steered = try SteeredLoop(depth: 1)
        var stale: [IOTicket] = []
        for name in 1...20 {
            let ticket = try steered.submit(Event.read(name))
            for old in stale { #expect(steered.loop.cancel(old) == .unknown) }
            #expect(!stale.contains(ticket))
            #expect(steered.answer(name) == [.success(name, 100)])
            stale.append(ticket)
        }
        // What was never given out.
        for raw in [UInt64.max, 0, 1 << 62 | 5, 1 << 63 | 5, 0xffff, 7] as [UInt64] {
            #expect(steered.loop.cancel(IOTicket(rawValue: raw)) == .unknown)
        }
    }

    @Test func aTicketIsValidOverRetriesAndWrappedGenerations() throws {
        let script = TimedScript.steered(depth: 1)
        var loop = try IOLoop<NoCallback, MockDriver>(
            depth: 1, driver: script.makeDriver(), recordsLatencies: false,
            firstGeneration: .max - 2)
        for _ in 0..<6 {
            guard case .accepted(let ticket) = loop.submit(Event.read(1)) else {
                Issue.record("must be accepted")
                return
            }
            for result in [-4, 20, -11] {
                script.answer(1, result)
                if loop.next() != nil { Issue.record("not finished yet") }
            }
            #expect(loop.cancel(ticket) == .tooLate)
            script.answer(1, 10)
            if loop.next() != nil { Issue.record("too late, so it goes on") }
            _ = loop.wait(minimum: 0)
            script.requests[0].stopping = .partly
            #expect(loop.cancel(ticket) == .requested)
            script.answer(1, 10)
            let event = try unwrap(loop.next())
            #expect(event.errno == .canceled && event.transferred == 40)
            #expect(loop.cancel(ticket) == .unknown)
        }
    }

    // MARK: All of them

    @Test func cancelAllStopsWhatADescriptorHasOrAll() throws {
        var steered = try SteeredLoop()
        let other = FileDescriptor(rawValue: 4)
        try steered.submit(Event.write(1))
        try steered.submit(Event.sync(2))
        try steered.submit(Event.write(3, other))
        try steered.submit(Event.named(4, .read(Event.file, into: IOBuffer(capacity: 8), at: -1)))
        // What is finished already does not count.
        #expect(steered.loop.cancelAll(Event.file) == 2)
        #expect(steered.loop.cancelAll(FileDescriptor(rawValue: 5)) == 0)
        #expect(
            steered.run() == [.failure(4, .invalidArgument, .negativeOffset), .cancelled(2)])
        #expect(steered.script.requests.map(\.stopAsked) == [true, false])
        #expect(steered.loop.cancelAll() == 2)
        #expect(steered.script.requests.map(\.stopAsked) == [true, true])
        #expect(steered.answer(1) + steered.answer(3, 99) == [.success(1, 100), .cancelled(3, 99)])
        #expect(steered.loop.cancelAll() == 0)
    }

    // MARK: Deadlines

    @Test func aDeadlineEndsTheWaitAndStopsTheEvent() throws {
        var steered = try SteeredLoop()
        steered.script.stoppings = [.obeys]
        let start = steered.script.clock
        try steered.submit(Event.read(1), deadline(steered, in: 5000))
        try steered.submit(Event.read(2), deadline(steered, in: 90_000))
        try steered.submit(Event.read(3))
        #expect(steered.loop.wait() == .ready)
        #expect(steered.script.clock == start + 5000)
        #expect(steered.script.requests.map(\.stopAsked) == [true, false, false])
        _ = steered.loop.wait()
        #expect(steered.run() == [.failure(1, .timedOut, .deadlinePassed)])
        #expect(steered.script.clock < start + 6000)
        #expect(steered.loop.statistics.deadlinesPassed == 1)
    }

    @Test func theCallersOwnDeadlineIsToldApart() throws {
        var steered = try SteeredLoop()
        let start = steered.script.clock
        try steered.submit(Event.read(1), deadline(steered, in: 5000))
        let soon = IOInstant(nanoseconds: start + 100)
        #expect(steered.loop.wait(minimum: 1, deadline: soon) == .deadlinePassed)
        #expect(steered.script.clock == start + 100)
        #expect(!steered.script.requests[0].stopAsked)
    }

    @Test func aDeadlineInThePastStopsAtOnce() throws {
        var steered = try SteeredLoop()
        steered.script.stoppings = [.obeys]
        try steered.submit(Event.read(1), deadline(steered, in: -5))
        #expect(steered.run() == [.failure(1, .timedOut, .deadlinePassed)])
    }

    @Test func successBeforeOrDespiteTheDeadlineIsSuccess() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.read(1), deadline(steered, in: 10))
        try steered.submit(Event.read(2), deadline(steered, in: 10))
        #expect(steered.answer(1) == [.success(1, 100)])
        steered.script.clock += 20
        #expect(steered.run() == [])
        #expect(steered.script.requests[0].stopAsked)
        #expect(steered.answer(2) == [.success(2, 100)])
        // Its time is over with it: nothing fires any more.
        #expect(steered.timers == 0)
    }

    @Test func aDeadlineReachesWhatHasNotBegun() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        try steered.submit(Event.sync(2), deadline(steered, in: 10))
        steered.script.fullFor = 1000
        try steered.submit(Event.read(3), deadline(steered, in: 20))
        steered.script.clock += 10
        #expect(steered.run() == [.failure(2, .timedOut, .deadlinePassed)])
        steered.script.clock += 10
        #expect(steered.run() == [.failure(3, .timedOut, .deadlinePassed)])
        #expect(steered.begun == [1])
    }

    @Test func aCancellationBeforeTheDeadlineIsACancellation() throws {
        var steered = try SteeredLoop()
        steered.script.stoppings = [.partly]
        let ticket = try steered.submit(Event.read(1), deadline(steered, in: 10))
        steered.loop.cancel(ticket)
        steered.script.requests[0].due = .max
        steered.script.clock += 100
        _ = steered.run()
        #expect(steered.answer(1, -125) == [.cancelled(1)])
    }

    // MARK: Giving up

    /// An event whose memory tells when it ends.
    func write(_ name: Int, _ freed: Counter) -> IOEvent<NoCallback> {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 16)
        for i in 0..<100 { unsafe memory[i] = TimedScript.content(at: name * 1000 + i) }
        return unsafe Event.named(
            name,
            .write(
                Event.file,
                from: IOBuffer(adopting: memory, count: 100) { memory in
                    unsafe memory.deallocate()
                    freed.add()
                }, at: Int64(name) * 1000))
    }

    @Test func nothingIsGivenUpUnlessThatIsAllowed() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1), deadline(steered, in: 10))
        steered.script.clock += 1 << 40
        #expect(steered.run() == [] && steered.loop.inFlight == 1)
        #expect(steered.answer(1) == [.success(1, 100)])
    }

    @Test func anEventThatDoesNotStopIsGivenUpInTimeAndSettlesLater() throws {
        var steered = try SteeredLoop(depth: 2)
        let freed = Counter()
        let start = steered.script.clock
        let limits = IOLimits(
            deadline: IOInstant(nanoseconds: start + 100), abandonAfter: .nanoseconds(50))
        let ticket = try steered.submit(write(1, freed), limits)
        #expect(steered.loop.wait() == .ready && steered.script.clock == start + 100)
        #expect(steered.loop.wait() == .ready && steered.script.clock == start + 150)
        var husk = try unwrap(steered.loop.next())
        #expect(husk.isSettled == false)
        #expect(husk.isDone == true)
        #expect(husk.errno == .timedOut)
        #expect(husk.buffer.capacity == 0)
        #expect(husk.priority.rawValue == 1 && husk.length == 100 && husk.offset == 1000)
        // Slot and memory stay with the request.
        #expect(freed.value == 0 && steered.loop.unsettled == 1 && steered.loop.inFlight == 0)
        #expect(steered.loop.cancel(ticket) == .tooLate)
        try steered.submit(Event.read(2))
        #expect(steered.loop.hasRoom == false)
        #expect(steered.loop.takeSettlements() == [])
        #expect(steered.answer(1, 60) == [])
        #expect(freed.value == 1 && steered.loop.unsettled == 0 && steered.loop.hasRoom == true)
        #expect(
            steered.loop.takeSettlements() == [
                IOSettlement(
                    ticket: ticket, action: .write, descriptor: 3, offset: 1000, length: 100,
                    transferred: 60, errno: nil)
            ])
        #expect(steered.loop.takeSettlements() == [])
        #expect(steered.loop.cancel(ticket) == .unknown)
        let statistics = steered.loop.statistics
        #expect(statistics.abandoned == 1 && statistics.settledLate == 1)
        // Submitted again, it is refused: it has no memory.
        husk.restart()
        #expect(steered.answer(2) == [.success(2, 100)])
        try steered.submit(husk)
        #expect(steered.run().map(\.errno) == [.invalidArgument])
    }

    @Test func theSettlementOfAFailureCarriesTheErrnoAndWhatWasMovedBefore() throws {
        var steered = try SteeredLoop()
        let ticket = try steered.submit(
            Event.write(1), IOLimits(abandonAfter: .nanoseconds(0)))
        _ = steered.answer(1, 40)
        steered.loop.cancel(ticket)
        #expect(steered.run().map(\.transferred) == [40])
        _ = steered.answer(1, -5)
        let settlement = try #require(steered.loop.takeSettlements().first)
        #expect(settlement.errno == .ioError && settlement.transferred == 40)
    }

    @Test func whatIsReapedInTimeIsNotGivenUp() throws {
        var steered = try SteeredLoop()
        let limits = IOLimits(abandonAfter: .nanoseconds(0))
        let one = try steered.submit(Event.read(1), limits)
        let two = try steered.submit(Event.read(2), limits)
        _ = steered.loop.wait(minimum: 0)
        steered.script.answer(1)
        steered.script.answer(2)
        steered.loop.cancel(one)
        steered.loop.cancel(two)
        #expect(try unwrap(steered.loop.next()).priority.rawValue == 1)
        #expect(steered.run() == [.success(2, 100)])
        #expect(steered.loop.statistics.abandoned == 0)
    }

    @Test func givingEverythingUpLeavesWhatTheDriverNeverHad() throws {
        var steered = try SteeredLoop()
        let freed = Counter()
        try steered.submit(write(1, freed))
        try steered.submit(Event.sync(2))
        try steered.submit(Event.read(3))
        steered.loop.abandonAll()
        let ends = steered.run()
        #expect(ends.map(\.name).sorted() == [1, 3])
        #expect(
            ends.allSatisfy { !$0.isSettled && $0.errno == .canceled && $0.reason == .abandoned })
        #expect(freed.value == 0 && steered.loop.unsettled == 2 && steered.loop.inFlight == 1)
        #expect(steered.answer(1) == [] && freed.value == 1)
        #expect(steered.begun == [3, 2])
        #expect(steered.answer(2) == [.success(2)])
        _ = steered.answer(3)
        #expect(steered.loop.takeSettlements().count == 2)
    }

    @Test func aWaitIsNotForWhatWasGivenUpUnlessSomethingDependsOnIt() throws {
        var steered = try SteeredLoop()
        let ticket = try steered.submit(
            Event.write(1), IOLimits(abandonAfter: .nanoseconds(0)))
        steered.loop.cancel(ticket)
        _ = steered.run()
        // Returns at once, although the driver has something.
        #expect(steered.loop.run(minimum: 1).completed == 0)
        #expect(!steered.script.sleptForEver)
        // A sync waits for it, and so does the loop.
        try steered.submit(Event.sync(2))
        steered.script.requests[0].due = steered.script.clock + 700
        #expect(steered.loop.wait() == .ready)
        #expect(steered.run() == [] && steered.begun == [2])
    }

    // MARK: Draining

    @Test func aDrainWaitsForWhatWasGivenUp() throws {
        let script = TimedScript.steered(depth: 4)
        let freed = Counter()
        var loop = try IOLoop<NoCallback, MockDriver>(
            depth: 4, driver: script.makeDriver())
        guard
            case .accepted(let ticket) = loop.submit(
                write(1, freed), IOLimits(abandonAfter: .nanoseconds(0)))
        else {
            Issue.record("must be accepted")
            return
        }
        loop.cancel(ticket)
        _ = loop.wait(minimum: 0)
        #expect(try unwrap(loop.next()).isSettled == false)
        _ = loop.submit(Event.sync(2))
        script.stuck = 0
        script.requests[0].due = script.clock + 5000
        loop.drain()
        #expect(freed.value == 1 && loop.unsettled == 0 && loop.inFlight == 0)
        #expect(loop.takeSettlements().count == 1)
    }

    @Test func aDrainGivesUpWhatMayBeGivenUpAndWaitsOn() throws {
        let script = TimedScript.steered(depth: 4)
        var loop = try IOLoop<NoCallback, MockDriver>(
            depth: 4, driver: script.makeDriver())
        let start = script.clock
        _ = loop.submit(
            Event.write(1),
            IOLimits(
                deadline: IOInstant(nanoseconds: start + 10), abandonAfter: .nanoseconds(10)))
        script.requests[0].due = start + 1000
        loop.drain()
        #expect(script.clock == start + 1000)
        #expect(loop.statistics.abandoned == 1 && loop.statistics.settledLate == 1)
    }
}
