import BasicContainers
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

@testable import IOEngineCore

/// A driver that is dead gets nothing more, whatever the end of one event lets begin.
@Suite struct DyingDriverTests {
    /// Full for one event, takes and keeps all others, and fails once it is dead.
    final class Dying: MockConductor {
        var isDead = false
        var staged: [Int] = []

        func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging {
            if request.priority.rawValue == 1 { return .full }
            staged.append(Int(request.priority.rawValue))
            return queue.stage(request)
        }

        func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
            if isDead { return .failed(errno: Errno.ioError.rawValue) }
            queue.take()
            return .ready
        }

        func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation { .tooLate }

        func inspect(
            _ descriptor: Int32, _ device: MockDevice
        ) throws(Errno) -> IODescriptorFacts { IODescriptorFacts(isDirect: true, size: 1 << 20) }
    }

    /// What is held by event 1, which waits for room.
    enum Held: CaseIterable {
        case append, sync, syncs, chain
    }

    struct End: Equatable {
        var name: Int
        var errno: Errno?
        var isSettled: Bool
        var capacity: Int
    }

    typealias Event = Named<ClosureCallback>

    @Test(arguments: Held.allCases)
    func nothingBeginsOnADeadDriver(_ held: Held) throws {
        let conductor = Dying()
        let device = MockDevice()
        let ends = LockedValue<[End]>([])
        let callback = ClosureCallback { event in
            let end = End(
                name: Int(event.priority.rawValue), errno: event.errno, isSettled: event.isSettled,
                capacity: event.buffer.capacity)
            ends.withLock { $0.append(end) }
        }
        var loop = try IOLoop<ClosureCallback, MockDriver>(
            depth: 8, driver: device.makeDriver(depth: 8, conductor: conductor))
        func append(_ name: Int) -> IOEvent<ClosureCallback> {
            Event.write(name, flags: held == .append ? .append : [], callback: callback)
        }
        _ = loop.submit(Event.read(9, callback: callback))
        switch held {
        case .append:
            for name in 1...3 { _ = loop.submit(append(name)) }
        case .sync:
            _ = loop.submit(append(1))
            _ = loop.submit(Event.sync(2, callback: callback))
        case .syncs:
            _ = loop.submit(Event.sync(4, callback: callback))
            _ = loop.submit(append(1))
            _ = loop.submit(Event.sync(2, callback: callback))
            _ = loop.submit(Event.sync(3, callback: callback))
        case .chain:
            var chain = UniqueArray<IOEvent<ClosureCallback>>()
            for name in 1...3 { chain.append(append(name)) }
            _ = loop.submit(chain: chain)
        }
        let before = conductor.staged
        conductor.isDead = true
        loop.drain()
        #expect(conductor.staged == before)
        let all = ends.withLock { $0 }
        #expect(Set(all.map(\.name)).count == all.count && loop.inFlight == 0)
        for end in all {
            #expect(end.errno == .canceled)
            let isAtDriver = before.contains(end.name)
            #expect(end.isSettled == !isAtDriver, "event \(end.name)")
            let isSync = held != .append && held != .chain && end.name != 1
            #expect(end.capacity == (isAtDriver || isSync ? 0 : 100), "event \(end.name)")
        }
    }

    /// A part that had finished before the driver died is not continued.
    @Test func nothingIsContinuedOnADeadDriver() throws {
        let script = TimedScript.steered(depth: 4)
        let context = try HandDrivenContext<ClosureCallback>(script)
        let log = HandDrivenTests.Log()
        _ = context.submit(Event.read(1, callback: log.callback))
        _ = context.submit(Event.read(2, callback: log.callback))
        _ = context.submit(Event.write(3, callback: log.callback))
        _ = context.submit(Event.sync(4, callback: log.callback))
        _ = context.cycle()
        script.isDead = true
        for _ in 0..<3 { _ = context.cycle() }
        // Finished before it died, and told late.
        script.answer(1, 40)
        script.answer(3)
        for _ in 0..<8 where !context.hasEnded { _ = context.cycle() }
        #expect(context.hasEnded)
        #expect(script.begun == [2])
        #expect(log.names.sorted() == [1, 2, 3, 4])
        #expect(log.all.filter { !$0.isSettled }.map(\.name) == [2])
        #expect(log.all.first { $0.name == 1 }?.transferred == 40)
        #expect(log.all.first { $0.name == 3 }?.errno == nil)
    }
}
