import BasicContainers
import SystemPackage
import Testing

@testable import IOEngineCore

/// Bytes in flight.
@Suite struct BoundTests {
    typealias Event = Named<NoCallback>

    @Test func transfersFitBelowTheBoundTogether() throws {
        var steered = try SteeredLoop(maximumBytes: 250)
        try steered.submit(Event.read(1))
        try steered.submit(Event.write(2))
        #expect(steered.refuses(Event.read(3, length: 51)) == true)
        try steered.submit(Event.read(4, length: 50))
        // What moves no bytes needs none.
        try steered.submit(Event.sync(5))
        try steered.submit(Event.named(6, .noOperation()))
        #expect(steered.bytes == 250)
        _ = steered.answer(1)
        try steered.submit(Event.read(7))
        #expect(steered.refuses(Event.read(8, length: 1)) == true)
    }

    @Test func whatIsAboveTheBoundRunsAlone() throws {
        var steered = try SteeredLoop(maximumBytes: 150)
        try steered.submit(Event.read(1))
        #expect(steered.refuses(Event.read(2, length: 400)) == true)
        _ = steered.answer(1)
        try steered.submit(Event.read(2, length: 400))
        #expect(steered.refuses(Event.read(3, length: 1)) == true)
        // Its parts are charged once.
        _ = steered.answer(2, 150)
        #expect(steered.refuses(Event.read(3, length: 1)) == true)
        _ = steered.answer(2)
        #expect(steered.bytes == 0)
        try steered.submit(Event.read(3, length: 1))
    }

    @Test func everyEndGivesTheBytesBack() throws {
        var steered = try SteeredLoop(maximumBytes: 300)
        var tickets: [IOTicket] = []
        for name in 1...2 { tickets.append(try steered.submit(Event.write(name))) }
        _ = steered.answer(1, -5)
        #expect(steered.bytes == 100)
        steered.loop.cancel(tickets[1])
        _ = steered.answer(2, -125)
        #expect(steered.bytes == 0)
        // Refused: never charged.
        try steered.submit(Event.named(3, .read(Event.file, into: IOBuffer(capacity: 8), at: -1)))
        #expect(steered.bytes == 0)
        _ = steered.run()
        #expect(steered.bytes == 0)
    }

    @Test func anEventThatIsSubmittedAgainIsChargedAgain() throws {
        var steered = try SteeredLoop(maximumBytes: 150)
        try steered.submit(Event.read(1))
        for round in 0..<5 {
            steered.script.answer(1, round == 3 ? -5 : nil)
            _ = steered.loop.wait(minimum: 0)
            let handled = steered.loop.forEachFinished { event in
                event.restart()
                return round == 4 ? .release : .submitAgain
            }
            #expect(handled == 1)
            #expect(steered.bytes == (round == 4 ? 0 : 100))
        }
    }

    /// Its range makes no sense, so it moves nothing and need not wait for room.
    @Test func whatIsRefusedForItsRangeNeedsNoBytes() throws {
        var steered = try SteeredLoop(maximumBytes: 150)
        try steered.submit(Event.read(1))
        for (name, range) in [(2, 0..<1_000_000), (3, 4..<Int.max), (4, 5..<5)] {
            try steered.submit(
                Event.named(
                    name, .read(Event.file, into: IOBuffer(capacity: 8), at: 0, range: range)))
        }
        try steered.submit(
            Event.named(5, .read(Event.file, into: IOBuffer(capacity: 1000), at: -1)))
        try steered.submit(
            Event.named(6, .read(Event.file, into: IOBuffer(capacity: 1000), at: .max)))
        #expect(steered.run().map(\.errno) == Array(repeating: .invalidArgument, count: 5))
        #expect(steered.bytes == 100)
    }

    @Test func roomIsToldAsItIs() throws {
        var steered = try SteeredLoop(maximumBytes: 150)
        try steered.submit(Event.read(1))
        #expect(steered.loop.hasRoom == true)
        try steered.submit(Event.read(2, length: 50))
        #expect(steered.loop.hasRoom == false)
        _ = steered.answer(2, 50)
        #expect(steered.loop.hasRoom == true)
        _ = steered.answer(1, -131)
        // Gone for good: closed.
        #expect(steered.loop.hasRoom == false)
    }

    /// A driver that is gone closes the loop for events that go on where they lie, too.
    @Test func whatIsSubmittedAgainToAClosedLoopComesBackCancelled() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.read(1))
        try steered.submit(Event.sync(2))
        _ = steered.loop.wait(minimum: 0)
        steered.script.answer(1, -131)
        steered.script.answer(2)
        var errnos: [Errno?] = []
        for round in 0..<3 {
            _ = steered.loop.wait(minimum: 0)
            steered.loop.forEachFinished { event in
                errnos.append(event.errno)
                event.restart()
                return round < 2 ? .submitAgain : .release
            }
        }
        #expect(errnos.filter { $0 == .notRecoverable }.count == 1)
        #expect(errnos.filter { $0 == nil }.count == 1)
        #expect(errnos.filter { $0 == .canceled }.count == errnos.count - 2)
        #expect(errnos.count >= 6)
        #expect(steered.begun == [] && steered.loop.inFlight == 0)
    }

    @Test func whatWasGivenUpIsChargedUntilItSettles() throws {
        var steered = try SteeredLoop(maximumBytes: 150)
        let ticket = try steered.submit(
            Event.write(1), IOLimits(abandonAfter: .nanoseconds(0)))
        steered.loop.cancel(ticket)
        #expect(steered.run().map(\.isSettled) == [false])
        #expect(steered.bytes == 100 && steered.loop.unsettledBytes == 100)
        try steered.submit(Event.read(2, length: 50))
        #expect(steered.refuses(Event.read(3, length: 1)) == true)
        _ = steered.answer(1)
        #expect(steered.bytes == 50 && steered.loop.unsettledBytes == 0)
        try steered.submit(Event.read(3))
    }

    @Test func aChainFitsTogetherOrIsAlone() throws {
        func chain(_ lengths: [Int]) -> UniqueArray<IOEvent<NoCallback>> {
            var events = UniqueArray<IOEvent<NoCallback>>()
            for (i, length) in lengths.enumerated() {
                events.append(Event.read(10 + i, length: length))
            }
            return events
        }
        var steered = try SteeredLoop(maximumBytes: 150)
        try steered.submit(Event.read(1))
        guard case .full = steered.loop.submit(chain: chain([10, 50])) else {
            Issue.record("must be full")
            return
        }
        #expect(steered.loop.submit(chain: chain([10, 40])).isAccepted == true)
        #expect(steered.bytes == 150)
        _ = steered.answer(1)
        _ = steered.answer(10)
        #expect(steered.bytes == 40)
        _ = steered.answer(11)
        #expect(steered.loop.submit(chain: chain([100, 100, 100])).isAccepted == true)
        _ = steered.answer(10, -5)
        #expect(steered.bytes == 0)
    }
}
