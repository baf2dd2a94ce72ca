import BasicContainers
import IOEngineMock
import SystemPackage
import Testing

@testable import IOEngineCore

/// Syncs wait for the writes before them.
@Suite struct BarrierTests {
    typealias Event = Named<NoCallback>
    typealias End = SteeredLoop.End

    @Test func aSyncWaitsForTheWritesBeforeItAndForNoLaterOnes() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        try steered.submit(Event.write(2))
        try steered.submit(Event.sync(3))
        try steered.submit(Event.write(4))
        #expect(steered.begun == [1, 2, 4])
        #expect(steered.answer(4) == [.success(4, 100)])
        #expect(steered.answer(2) == [.success(2, 100)])
        #expect(steered.begun == [1])
        #expect(steered.answer(1) == [.success(1, 100)])
        #expect(steered.begun == [3])
        #expect(steered.answer(3) == [.success(3)])
        #expect(steered.loop.statistics.syncsHeld == 1)
    }

    @Test func everySyncAndEverythingThatChangesDataCounts() throws {
        for extent in [IOSyncExtent.data, .full] {
            var steered = try SteeredLoop()
            try steered.submit(Event.named(1, .allocate(Event.file, at: 0, length: 10)))
            var buffers = UniqueArray<IOBuffer>()
            for _ in 0..<2 { buffers.append(IOBuffer(zeroed: 0)) }
            buffers.append(IOBuffer(copying: [TimedScript.content(at: 5)], capacity: 1))
            try steered.submit(Event.named(2, .write(Event.file, from: buffers, at: 5)))
            try steered.submit(Event.read(3))
            try steered.submit(Event.sync(4, extent: extent))
            #expect(steered.begun == [1, 2, 3])
            _ = steered.answer(1)
            #expect(steered.begun == [2, 3])
            _ = steered.answer(2)
            #expect(steered.begun == [3, 4])
        }
    }

    @Test func otherDescriptorsAreNotCovered() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1, FileDescriptor(rawValue: 4)))
        try steered.submit(Event.sync(2))
        #expect(steered.begun == [1, 2])
    }

    @Test func aWriteThatContinuesHoldsASyncUntilItsLastPart() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        try steered.submit(Event.sync(2))
        #expect(steered.answer(1, 30) == [] && steered.begun == [1])
        #expect(steered.answer(1, -Int(Errno.interrupted.rawValue)) == [] && steered.begun == [1])
        #expect(steered.answer(1, 69) == [] && steered.begun == [1])
        #expect(steered.answer(1, 1) == [.success(1, 100)] && steered.begun == [2])
    }

    @Test func aWriteThatFailsLetsTheSyncGo() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        try steered.submit(Event.sync(2))
        #expect(steered.answer(1, -5) == [.failure(1, .ioError, .kernel)])
        #expect(steered.begun == [2])
    }

    @Test func aWriteThatIsRefusedHoldsNothing() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.named(1, .write(Event.file, from: IOBuffer(zeroed: 8), at: -1)))
        try steered.submit(Event.sync(2))
        #expect(steered.begun == [2])
    }

    /// The writes of a sync that goes are those of the next one.
    @Test(arguments: [3, 5, 7])
    func aCancelledSyncHandsItsWritesOn(_ cancelled: Int) throws {
        var steered = try SteeredLoop(depth: 16)
        var tickets: [Int: IOTicket] = [:]
        for name in 2...7 {
            // 2 and 3, 4 and 5, 6 and 7: a write and a sync behind it.
            tickets[name] = try steered.submit(
                name.isMultiple(of: 2) ? Event.write(name) : Event.sync(name))
        }
        let ticket = try #require(tickets[cancelled])
        #expect(steered.loop.cancel(ticket) == .cancelled)
        #expect(steered.run() == [.cancelled(cancelled)])
        try steered.submit(Event.sync(9))
        // The last write first: nothing may begin before the first has ended.
        _ = steered.answer(6)
        _ = steered.answer(4)
        #expect(steered.begun == [2])
        _ = steered.answer(2)
        #expect(steered.begun == [3, 5, 7, 9].filter { $0 != cancelled })
    }

    @Test func aSyncBehindACancelledOneDoesNotWaitForLaterWrites() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        let ticket = try steered.submit(Event.sync(2))
        try steered.submit(Event.sync(3))
        try steered.submit(Event.write(4))
        #expect(steered.loop.cancel(ticket) == .cancelled)
        _ = steered.run()
        _ = steered.answer(1)
        #expect(steered.begun == [4, 3])
    }

    @Test func aFailedSyncIsVisibleToOneThatIsHeld() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.sync(1))
        try steered.submit(Event.write(2))
        try steered.submit(Event.sync(3))
        #expect(steered.answer(1, -5) == [.failure(1, .ioError, .dataMayBeLost)])
        #expect(
            steered.answer(2) == [.success(2, 100), .failure(3, .ioError, .stickySyncError)])
        #expect(steered.begun == [])
        // Until it is cleared.
        try steered.submit(Event.sync(4))
        #expect(steered.run() == [.failure(4, .ioError, .stickySyncError)])
        steered.loop.clearSyncError(Event.file)
        try steered.submit(Event.sync(5))
        #expect(steered.begun == [5])
    }

    @Test func aFailedSyncIsVisibleToOneThatIsRepeatedOrWaitsForTheDriver() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.sync(1))
        try steered.submit(Event.sync(2))
        steered.script.fullFor = 1000
        try steered.submit(Event.sync(3))
        #expect(steered.begun == [1, 2])
        #expect(steered.answer(1, -28) == [.failure(1, .noSpace, .dataMayBeLost)])
        // The one that waits does not wait for the driver any more.
        #expect(
            steered.answer(2, -4) == [
                .failure(3, .noSpace, .stickySyncError), .failure(2, .noSpace, .stickySyncError),
            ])
        #expect(steered.begun == [])
    }

    /// The kernel tells of lost data once: to the other one.
    @Test func aFailedSyncIsVisibleToOneThatIsInTheKernelBesideIt() throws {
        var steered = try SteeredLoop()
        for name in 1...3 { try steered.submit(Event.sync(name)) }
        // The success came before: it stands.
        #expect(steered.answer(3) == [.success(3)])
        #expect(steered.answer(1, -5) == [.failure(1, .ioError, .dataMayBeLost)])
        #expect(steered.answer(2) == [.failure(2, .ioError, .stickySyncError)])
    }

    @Test func aSyncThatFailsAfterItWasGivenUpIsVisible() throws {
        var steered = try SteeredLoop()
        let ticket = try steered.submit(
            Event.sync(1), IOLimits(abandonAfter: .nanoseconds(0)))
        steered.loop.cancel(ticket)
        #expect(steered.run().map(\.isSettled) == [false])
        #expect(steered.answer(1, -5) == [])
        try steered.submit(Event.sync(2))
        #expect(steered.run() == [.failure(2, .ioError, .stickySyncError)])
    }

    @Test func aWriteThatWasGivenUpHoldsASyncUntilItSettles() throws {
        var steered = try SteeredLoop()
        let ticket = try steered.submit(
            Event.write(1), IOLimits(abandonAfter: .nanoseconds(0)))
        try steered.submit(Event.sync(2))
        #expect(steered.loop.cancel(ticket) == .requested)
        #expect(steered.run().map(\.name) == [1])
        #expect(steered.begun == [1] && steered.loop.unsettled == 1)
        try steered.submit(Event.sync(3))
        #expect(steered.answer(1, 70) == [])
        #expect(steered.begun == [2, 3])
        let settlement = try #require(steered.loop.takeSettlements().first)
        #expect(settlement.ticket == ticket && settlement.transferred == 70)
    }

    @Test func aSyncThatWaitsHastensLayers() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        _ = steered.run()
        #expect(steered.script.device.counts.hastens == 0)
        try steered.submit(Event.sync(2))
        _ = steered.run()
        #expect(steered.script.device.counts.hastens > 0)
    }

    @Test func theCountOfSyncsWraps() throws {
        var steered = try SteeredLoop(depth: 64)
        let record = unsafe steered.loop.core.pointee.table.findOrMake(3)
        unsafe record.pointee.epoch = .max - 3
        for name in 1...30 {
            try steered.submit(name.isMultiple(of: 2) ? Event.sync(name) : Event.write(name))
        }
        // Writes end from the last to the first: no sync begins before the first write has ended.
        for name in stride(from: 29, to: 1, by: -2) {
            _ = steered.answer(name)
            #expect(steered.begun.allSatisfy { !$0.isMultiple(of: 2) })
        }
        _ = steered.answer(1)
        #expect(steered.begun == Array(stride(from: 2, through: 30, by: 2)))
    }

    /// A callback's own writes go on without end, and the sync begins all the same.
    @Test func aSteadyWriterDoesNotStarveASync() throws {
        var steered = try SteeredLoop()
        try steered.submit(Event.write(1))
        try steered.submit(Event.write(2))
        try steered.submit(Event.sync(100))
        for name in 1...50 {
            try steered.submit(Event.write(name + 2))
            _ = steered.answer(name)
            if name == 2 { #expect(steered.begun.contains(100)) }
        }
    }
}

/// Direct appends go one at a time.
@Suite struct AppendTests {
    typealias Event = Named<NoCallback>

    @Test func directAppendsOfOneFileGoOneAfterTheOther() throws {
        var steered = try SteeredLoop(isDirect: true)
        for name in 1...3 { try steered.submit(Event.write(name, flags: .append)) }
        try steered.submit(Event.write(4))
        try steered.submit(Event.write(5, FileDescriptor(rawValue: 4), flags: .append))
        try steered.submit(Event.sync(6))
        #expect(steered.begun == [1, 4, 5])
        #expect(steered.answer(1, 60) == [.success(1, 60)])
        #expect(steered.begun == [4, 5, 2])
        _ = steered.answer(2, -28)
        #expect(steered.begun == [4, 5, 3])
        _ = steered.answer(4)
        _ = steered.answer(3)
        #expect(steered.begun == [5, 6])
    }

    @Test func bufferedAppendsGoAtOnce() throws {
        var steered = try SteeredLoop()
        for name in 1...3 { try steered.submit(Event.write(name, flags: .append)) }
        #expect(steered.begun == [1, 2, 3])
    }

    @Test func anAppendThatIsCancelledWhileItWaitsLosesItsTurn() throws {
        var steered = try SteeredLoop(isDirect: true)
        var tickets: [IOTicket] = []
        for name in 1...4 {
            tickets.append(try steered.submit(Event.write(name, flags: .append)))
        }
        try steered.submit(Event.sync(5))
        #expect(steered.loop.cancel(tickets[1]) == .cancelled)
        #expect(steered.loop.cancel(tickets[3]) == .cancelled)
        #expect(steered.run() == [.cancelled(2), .cancelled(4)])
        _ = steered.answer(1)
        #expect(steered.begun == [3])
        _ = steered.answer(3)
        #expect(steered.begun == [5])
    }

    @Test func anAppendThatWasGivenUpKeepsItsTurnUntilItSettles() throws {
        var steered = try SteeredLoop(isDirect: true)
        let ticket = try steered.submit(
            Event.write(1, flags: .append), IOLimits(abandonAfter: .nanoseconds(0)))
        try steered.submit(Event.write(2, flags: .append))
        steered.loop.cancel(ticket)
        #expect(steered.run().map(\.name) == [1])
        #expect(steered.begun == [1])
        _ = steered.answer(1)
        #expect(steered.begun == [2])
    }
}
