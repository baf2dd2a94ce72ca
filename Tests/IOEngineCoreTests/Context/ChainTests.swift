import BasicContainers
import SystemPackage
import Testing

@testable import IOEngineCore

/// Events that begin only after the one before them has succeeded.
@Suite struct ChainTests {
    typealias Event = Named<NoCallback>
    typealias End = SteeredLoop.End

    /// Reads with these names.
    func chain(_ names: [Int]) -> UniqueArray<IOEvent<NoCallback>> {
        var events = UniqueArray<IOEvent<NoCallback>>()
        for name in names { events.append(Event.read(name)) }
        return events
    }

    func broken(_ name: Int) -> End { .failure(name, .canceled, .chainBroken) }

    @Test func eachBeginsAfterTheOneBeforeHasSucceeded() throws {
        var steered = try SteeredLoop()
        guard case .accepted(let tickets) = steered.loop.submit(chain: chain([1, 2, 3])) else {
            Issue.record("must be accepted")
            return
        }
        #expect(tickets.count == 3 && Set(tickets).count == 3)
        try steered.submit(Event.read(4))
        #expect(steered.begun == [1, 4])
        // A part is not all of it.
        #expect(steered.answer(1, 30) == [] && steered.begun == [4, 1])
        #expect(steered.answer(1) == [.success(1, 100)] && steered.begun == [4, 2])
        // The end of the file is a success.
        #expect(steered.answer(2, 0) == [.success(2, 0)] && steered.begun == [4, 3])
        #expect(steered.answer(3) == [.success(3, 100)] && steered.begun == [4])
    }

    @Test func aFailureCancelsTheRest() throws {
        for which in 1...3 {
            var steered = try SteeredLoop()
            _ = steered.loop.submit(chain: chain([1, 2, 3, 4]))
            for name in 1..<which { _ = steered.answer(name) }
            #expect(
                steered.answer(which, -5)
                    == [.failure(which, .ioError, .kernel)] + (which + 1...4).map(broken))
            #expect(steered.begun == [] && steered.loop.inFlight == 0)
        }
    }

    @Test func whatIsHandedOverShortCancelsTheRest() throws {
        var steered = try SteeredLoop()
        var events = chain([1, 2])
        events[0].shortTransfers = .handsOver
        _ = steered.loop.submit(chain: events)
        #expect(steered.answer(1, 99) == [.success(1, 99), broken(2)])
    }

    @Test func whatIsBadIsRefusedInItsTurnAndCancelsTheRest() throws {
        var steered = try SteeredLoop()
        var events = chain([1, 2, 3])
        events[1].offset = -1
        _ = steered.loop.submit(chain: events)
        #expect(steered.run() == [] && steered.begun == [1])
        #expect(
            steered.answer(1) == [
                .success(1, 100), .failure(2, .invalidArgument, .negativeOffset), broken(3),
            ])
        #expect(steered.loop.inFlight == 0)
    }

    @Test func aBadMemberIsNotBlamedForWhatBrokeTheChainBefore() throws {
        var steered = try SteeredLoop()
        var events = chain([1, 2])
        events[1].offset = -1
        _ = steered.loop.submit(chain: events)
        #expect(steered.answer(1, -5) == [.failure(1, .ioError, .kernel), broken(2)])
        events = chain([1, 2, 3])
        events[1].offset = -1
        guard case .accepted(let tickets) = steered.loop.submit(chain: events) else {
            throw Missing()
        }
        #expect(steered.loop.cancel(tickets[1]) == .cancelled)
        #expect(steered.run() == [.cancelled(2), broken(3)])
        #expect(steered.answer(1) == [.success(1, 100)])
        events = chain([1, 2])
        events[0].offset = -1
        _ = steered.loop.submit(chain: events)
        #expect(
            steered.run() == [.failure(1, .invalidArgument, .negativeOffset), broken(2)])
    }

    @Test(arguments: [0, 1, 2])
    func aCancelledMemberCancelsTheRest(_ which: Int) throws {
        var steered = try SteeredLoop()
        steered.script.stoppings = [.obeys]
        guard case .accepted(let tickets) = steered.loop.submit(chain: chain([1, 2, 3])) else {
            Issue.record("must be accepted")
            return
        }
        #expect(steered.loop.cancel(tickets[which]) == .cancelled)
        var ends = steered.run()
        if which > 0 { ends += steered.answer(1) }
        for name in 1...3 where name > which + 1 { #expect(ends.contains(broken(name))) }
        #expect(ends.contains(.cancelled(which + 1)))
        if which == 2 { ends += steered.answer(2) }
        #expect(ends.count == 3 && steered.loop.inFlight == 0)
    }

    @Test func aMemberThatWasGivenUpEndsTheChainAlthoughItSucceedsLater() throws {
        var steered = try SteeredLoop()
        guard
            case .accepted(let tickets) = steered.loop.submit(
                chain: chain([1, 2]), IOLimits(abandonAfter: .nanoseconds(0)))
        else {
            Issue.record("must be accepted")
            return
        }
        steered.loop.cancel(tickets[0])
        let ends = steered.run()
        #expect(ends.map(\.name).sorted() == [1, 2])
        #expect(ends.contains(broken(2)))
        #expect(steered.answer(1) == [] && steered.begun == [])
        #expect(steered.loop.takeSettlements().map(\.ticket) == [tickets[0]])
    }

    @Test func aDeadlineOfAMemberThatWaitsEndsTheRest() throws {
        var steered = try SteeredLoop()
        _ = steered.loop.submit(
            chain: chain([1, 2, 3]),
            IOLimits(deadline: IOInstant(nanoseconds: steered.script.clock + 50)))
        steered.script.clock += 50
        let ends = steered.run()
        #expect(ends.map(\.name).sorted() == [2, 3])
        #expect(ends.allSatisfy { $0.errno == .timedOut })
        // The first was asked to stop, and succeeds all the same.
        #expect(steered.script.requests[0].stopAsked)
        #expect(steered.answer(1) == [.success(1, 100)])
    }

    @Test func aChainIsTakenWholeOrNotAtAll() throws {
        var steered = try SteeredLoop(depth: 3)
        guard case .tooLong(let long, let limit) = steered.loop.submit(chain: chain([1, 2, 3, 4]))
        else {
            Issue.record("must be too long")
            return
        }
        #expect(long.count == 4 && limit == 3)
        try steered.submit(Event.read(9))
        guard case .full(let full) = steered.loop.submit(chain: chain([1, 2, 3])) else {
            Issue.record("must be full")
            return
        }
        #expect(full.count == 3 && full[2].priority.rawValue == 3 && steered.begun == [9])
        #expect(steered.loop.submit(chain: chain([1, 2])).isAccepted == true)
        #expect(steered.loop.submit(chain: chain([])).isAccepted == true)
        _ = steered.answer(9)
        #expect(steered.loop.submit(chain: chain([5])).isAccepted == true)
        #expect(steered.begun == [1, 5])
    }

    @Test func aSyncInAChainWaitsForTheChainAndForTheWritesBefore() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        var events = UniqueArray<IOEvent<NoCallback>>()
        events.append(Event.write(2))
        events.append(Event.sync(3))
        events.append(Event.write(4))
        _ = steered.loop.submit(chain: events)
        try steered.submit(Event.sync(5))
        #expect(steered.begun == [1, 2])
        _ = steered.answer(2)
        #expect(steered.begun == [1])
        _ = steered.answer(1)
        #expect(steered.begun == [3])
        _ = steered.answer(3)
        #expect(steered.begun == [4])
        _ = steered.answer(4)
        #expect(steered.begun == [5])
    }

    /// The slot of a member that has gone belongs to somebody else when its predecessor ends.
    @Test func aSlotThatIsUsedAnewIsNotTakenForTheMember() throws {
        var steered = try SteeredLoop(depth: 3)
        guard case .accepted(let tickets) = steered.loop.submit(chain: chain([1, 2])) else {
            Issue.record("must be accepted")
            return
        }
        #expect(steered.loop.cancel(tickets[1]) == .cancelled)
        #expect(steered.run() == [.cancelled(2)])
        try steered.submit(Event.write(3))
        try steered.submit(Event.sync(4))
        #expect(steered.begun == [1, 3])
        #expect(steered.answer(1, -5) == [.failure(1, .ioError, .kernel)])
        #expect(steered.begun == [3])
        #expect(steered.answer(3) == [.success(3, 100)])
        #expect(steered.begun == [4])
    }
}
