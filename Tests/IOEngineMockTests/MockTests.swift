import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

@Suite struct MockTests {
    func makeLoop(
        _ device: MockDevice, depth: Int = 4
    ) throws -> IOLoop<NoCallback, MockDriver> {
        try IOLoop(depth: depth, driver: device.makeDriver(depth: depth))
    }

    @Test func aScriptIsFollowedRequestByRequest() throws {
        let device = MockDevice()
        let file = device.makeFile((0..<200).map { UInt8($0) })
        device.answer(IOFault.reads, with: .moves(100), .fails(.interrupted), .completes)
        var loop = try makeLoop(device)
        #expect(try loop.read(file, 150, at: 10) == (10..<160).map { UInt8($0) })
        #expect(
            device.journal.map(\.description) == [
                "read of \(file.rawValue), 150 at 10: 100",
                "read of \(file.rawValue), 50 at 110: -4",
                "read of \(file.rawValue), 50 at 110: 50",
            ])
        #expect(device.unusedAnswers == 0 && device.violations.isEmpty)
        device.clearJournal()
        #expect(device.journal.isEmpty && loop.statistics.retries == 1)
    }

    @Test func scriptsAreByActionAndFile() throws {
        let device = MockDevice()
        let one = device.makeFile()
        let two = device.makeFile()
        device.answer(IOFault.writes, on: two, with: .fails(.noSpace))
        device.answer(IOFault.syncs, with: .fails(.ioError))
        var loop = try makeLoop(device)
        try loop.write(one, [1], at: 0)
        #expect(errno { try loop.write(two, [1], at: 0) } == .noSpace)
        try loop.write(two, [2], at: 1)
        #expect(device.unusedAnswers == 1)
        #expect(errno { try loop.sync(one) } == .ioError)
        #expect(device.contents(of: one) == [1] && device.contents(of: two) == [0, 2])
    }

    @Test func answersMayBreakTheContract() throws {
        let device = MockDevice()
        let file = device.makeFile([1, 2, 3])
        device.answer(IOFault.writes, with: .result(99), .result(-99_999), .moves(0))
        var loop = try makeLoop(device)
        for reason: IOError.Reason in [.excessTransfer, .kernel, .zeroWrite] {
            let event = try loop.finish(.write(file, from: IOBuffer(copying: [9]), at: 0))
            guard case .failure(let error) = event.result else {
                Issue.record("must fail")
                return
            }
            #expect(error.reason == reason)
        }
        #expect(device.contents(of: file) == [1, 2, 3])
    }

    @Test func whatIsHeldStaysUntilItIsReleasedOrCancelled() throws {
        let device = MockDevice()
        let file = device.makeFile([1, 2, 3])
        var loop = try makeLoop(device)
        device.answer(IOFault.reads, with: .isHeld, .isHeld)
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 3), at: 0))
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 3), at: 0))
        #expect(loop.wait(deadline: IOInstant(nanoseconds: 50)) == .deadlinePassed)
        #expect(loop.inFlight == 2 && device.now.nanoseconds == 50)
        device.advanceClock(by: .nanoseconds(25))
        #expect(loop.now.nanoseconds == 75)
        #expect(loop.wait() == .failed(errno: Errno.deadlock.rawValue))
        device.release()
        device.release(.fails(.ioError))
        _ = loop.wait(minimum: 2)
        let first = try unwrap(loop.next())
        #expect(first.errno == nil && first.transferred == 3)
        let second = try unwrap(loop.next())
        #expect(second.errno == .ioError)
        // The wake-up that a release brings is used up.
        _ = loop.wait(minimum: 1, deadline: IOInstant(nanoseconds: 80))
    }

    @Test func unknownDescriptorsCanMeanAFile() throws {
        let device = MockDevice()
        let file = device.makeFile([7, 8])
        var loop = try makeLoop(device)
        let plain = FileDescriptor(rawValue: 5)
        var event = try loop.finish(.read(plain, into: IOBuffer(capacity: 2), at: 0))
        #expect(event.errno == .badFileDescriptor)
        device.setOtherDescriptors(file)
        event = try loop.finish(.read(plain, into: IOBuffer(capacity: 2), at: 0))
        #expect(event.errno == nil && event.buffer[1] == 8)
        #expect(
            errno { try loop.read(device.makeDescriptor(.directory), 1, at: 0) } == .isDirectory)
        #expect(errno { try loop.read(device.makeDescriptor(.socket), 1, at: 0) } == .illegalSeek)
    }

    @Test func aUserThatBreaksTheContractIsTold() {
        let device = MockDevice()
        var driver = device.makeDriver(depth: 2)
        func request(_ slot: UInt32) -> IORequest {
            unsafe IORequest(token: IOToken(slot: slot, generation: 0), action: .noOperation)
        }
        _ = driver.stage(request(1))
        #expect(device.violations.isEmpty)
        _ = driver.stage(request(1))
        #expect(device.violations == ["slot 1 is in flight twice"])
        #expect(driver.stage(request(0)) == .full && device.counts.full == 1)
        var other = device.makeDriver(depth: 2)
        _ = other.stage(request(2))
        #expect(device.violations.last == "slot 2 is not below the depth of 2")
    }
}

/// Last in, first out, and one completion that nobody is owed.
private final class Backwards: MockConductor {
    var order: [UInt32] = []
    var isFull = false

    func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging {
        isFull ? .full : queue.stage(request)
    }

    func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        if isFull { return queue.submit(minimum: minimum, deadline: deadline) }
        queue.take()
        while !queue.inFlight.isEmpty {
            let last = queue.inFlight.count - 1
            order.append(queue.inFlight[last].token.slot)
            queue.finish(at: last)
        }
        queue.deliver(IOCompletion(token: IOToken(slot: 3, generation: 9), result: 0), at: 0)
        return .ready
    }

    func inspect(
        _ descriptor: Int32, _ device: MockDevice
    ) throws(Errno) -> IODescriptorFacts {
        if descriptor == 99 { throw .badFileDescriptor }
        return IODescriptorFacts(size: 3)
    }
}

/// In charge, and overrides nothing.
private final class Idle: MockConductor {}

@Suite struct ConductorTests {
    @Test func anObjectIsInChargeOfItsDriver() throws {
        let device = MockDevice()
        let file = device.makeFile([1, 2, 3])
        let conductor = Backwards()
        var loop = try IOLoop<NoCallback, MockDriver>(
            depth: 4, driver: device.makeDriver(depth: 4, conductor: conductor))
        for _ in 0..<3 { _ = loop.submit(.read(file, into: IOBuffer(capacity: 3), at: 0)) }
        _ = loop.wait(minimum: 3)
        var count = 0
        while loop.next() != nil { count += 1 }
        #expect(count == 3 && loop.statistics.staleCompletions == 1)
        #expect(conductor.order == [2, 1, 0])
        let unknown = FileDescriptor(rawValue: 99)
        let event = try loop.finish(.read(unknown, into: IOBuffer(capacity: 1), at: 0))
        #expect(event.errno == .badFileDescriptor)
        conductor.isFull = true
        _ = loop.submit(.noOperation())
        _ = loop.wait()
        let full = try unwrap(loop.next())
        #expect(full.errno == .resourceTemporarilyUnavailable && device.counts.full > 100)
    }

    @Test func whatAConductorLeavesOutTheMockDoes() throws {
        let device = MockDevice()
        let file = device.makeFile([1, 2, 3])
        device.answer(IOFault.reads, with: .moves(1), .isHeld)
        var loop = try IOLoop<NoCallback, MockDriver>(
            depth: 4, driver: device.makeDriver(depth: 4, conductor: Idle()))
        guard
            case .accepted(let ticket) = loop.submit(
                .read(file, into: IOBuffer(capacity: 3), at: 0))
        else {
            Issue.record("must be accepted")
            return
        }
        // One byte, and the rest is held.
        _ = loop.wait()
        let isUnfinished = loop.next() == nil
        #expect(isUnfinished)
        #expect(loop.wait(deadline: IOInstant(nanoseconds: 5)) == .deadlinePassed)
        #expect(loop.cancel(ticket) == .requested && device.counts.cancels == 1)
        _ = loop.wait()
        let event = try unwrap(loop.next())
        #expect(event.errno == .canceled && event.transferred == 1)
        #expect(device.contents(of: file, 1..<9) == [2, 3])
        let unknown = FileDescriptor(rawValue: 5)
        let refused = try loop.finish(.read(unknown, into: IOBuffer(capacity: 1), at: 0))
        #expect(refused.errno == .badFileDescriptor)
    }

    @Test func whatIsOwedToNobodyTakesNoRoom() {
        let queue = MockDevice().makeDriver(depth: 2).queue
        func request(_ slot: UInt32) -> IORequest {
            unsafe IORequest(token: IOToken(slot: slot, generation: 0), action: .noOperation)
        }
        for slot in 5..<9 as Range<UInt32> {
            queue.deliver(IOCompletion(token: IOToken(slot: slot, generation: 0), result: 0))
        }
        #expect(queue.count == 0 && queue.stage(request(0)) == .queued)
        #expect(queue.stage(request(1)) == .queued && queue.stage(request(2)) == .full)
        queue.take(1)
        #expect(queue.finish(IOToken(slot: 1, generation: 0)) == 0)
        #expect(queue.finish(IOToken(slot: 7, generation: 0)) == nil)
        #expect(queue.holds(IOToken(slot: 0, generation: 0)) && queue.count == 2)
        #expect(queue.inFlight.count == 1 && queue.finished.count == 5)
    }
}
