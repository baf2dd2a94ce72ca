import IOEngineCore
import IOEngineMock
import SystemPackage
import Testing

/// Events that go on where they lie, on loops. What contexts do with them is in the schedules and in
/// IOEngineContextTests.
@Suite struct ResubmittingTests {
    /// Counts down where the event lies, then writes down how it ended.
    struct Countdown: IOCallback {
        nonisolated(unsafe) let log: Log
        var left: Int
        /// To be put in its place at its first end.
        nonisolated(unsafe) var next: (() -> IOEvent<Countdown>)?

        static func resubmits(_ event: inout IOEvent<Countdown>) -> Bool {
            guard var callback = event.callback else { return false }
            unsafe callback.log.looks.append(event.transferred)
            guard callback.left > 0 else { return false }
            callback.left -= 1
            if let next = unsafe callback.next {
                event = next()
                return true
            }
            event.restart(at: event.offset + 8)
            event.callback = callback
            return true
        }

        consuming func call(
            _ event: consuming IOEvent<Countdown>, _ submitter: borrowing IOSubmitter<Countdown>
        ) {
            unsafe log.ends.append(event.errno)
            unsafe log.offsets.append(event.offset)
        }
    }

    final class Log {
        var looks: [Int] = []
        var ends: [Errno?] = []
        var offsets: [Int64] = []
    }

    static let depth = 2

    func makeLoop(_ device: MockDevice) throws -> IOLoop<Countdown, MockDriver> {
        try IOLoop(depth: Self.depth, driver: device.makeDriver(depth: Self.depth))
    }

    func makeDevice() -> (MockDevice, IODescriptor) {
        let device = MockDevice()
        return (device, device.makeFile(Array(repeating: 7, count: 4096)))
    }

    @Test func anEventGoesRoundWhereItLiesAndIsCalledBackOnce() throws {
        let (device, file) = makeDevice()
        var loop = try makeLoop(device)
        let log = Log()
        _ = loop.submit(
            .read(
                file, into: IOBuffer(capacity: 8), at: 0, callback: Countdown(log: log, left: 10)))
        while loop.inFlight > 0 { loop.run() }
        #expect(log.looks == Array(repeating: 8, count: 11))
        #expect(log.ends == [nil] && log.offsets == [80])
        #expect(loop.statistics.submitted == 11 && loop.statistics.completed == 11)
    }

    @Test func aFailureIsLookedAtToo() throws {
        let (device, file) = makeDevice()
        var loop = try makeLoop(device)
        let log = Log()
        _ = loop.submit(
            .read(
                file, into: IOBuffer(capacity: 8), at: -1000,
                callback: Countdown(log: log, left: 5)))
        while loop.inFlight > 0 { loop.run() }
        // Each is refused, until it does not go on.
        #expect(log.ends == [.invalidArgument])
        #expect(log.looks.count == 6)
    }

    @Test func anotherEventInItsPlaceLetsGoOfItsDescriptor() throws {
        let (device, first) = makeDevice()
        let log = Log()
        var loop = try makeLoop(device)
        let second = device.makeFile(Array(repeating: 8, count: 4096))
        _ = loop.submit(
            .read(
                first, into: IOBuffer(capacity: 8), at: 0,
                callback: Countdown(log: log, left: 1) {
                    .read(
                        second, into: IOBuffer(capacity: 16), at: 8,
                        callback: Countdown(log: log, left: 0))
                }))
        while loop.inFlight > 0 { loop.run() }
        #expect(log.looks == [8, 16] && log.ends == [nil])
        let isClosed = try first.close()
        #expect(isClosed, "nothing of it is in flight")
    }

    @Test func aDrainAsksNobody() throws {
        let (device, file) = makeDevice()
        var loop = try makeLoop(device)
        let log = Log()
        _ = loop.submit(
            .read(
                file, into: IOBuffer(capacity: 8), at: 0,
                callback: Countdown(log: log, left: .max)))
        loop.run()
        loop.drain()
        #expect(loop.inFlight == 0)
        #expect(log.looks.count == 1 && log.ends == [nil])
    }

    @Test func syncsGoRoundBehindTheWritesBeforeThem() throws {
        let (device, file) = makeDevice()
        var loop = try makeLoop(device)
        let log = Log()
        _ = loop.submit(.sync(file).calling(Countdown(log: log, left: 3)))
        _ = loop.submit(
            .write(
                file, from: IOBuffer(copying: [1, 2, 3, 4, 5, 6, 7, 8]), at: 0,
                callback: Countdown(log: log, left: 3)))
        while loop.inFlight > 0 { loop.run() }
        #expect(log.looks.count == 8 && log.ends == [nil, nil])
    }
}

extension IOEvent where Callback == ResubmittingTests.Countdown {
    fileprivate consuming func calling(_ callback: Callback) -> IOEvent {
        self.callback = callback
        return self
    }
}
