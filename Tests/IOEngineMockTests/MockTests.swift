import IOEngineCore
import IOEngineMock
import Synchronization
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

    @Test func hooksTakeTheDriversPlace() throws {
        let device = MockDevice()
        let file = device.makeFile([1, 2, 3])
        let order = LockedValue<[UInt32]>([])
        device.hooks.submit = { queue, minimum, _ in
            queue.take()
            // Last in, first out, and one completion that nobody is owed.
            while !queue.inFlight.isEmpty {
                let last = queue.inFlight.count - 1
                order.withLock { $0.append(queue.inFlight[last].token.slot) }
                queue.finish(at: last)
            }
            queue.deliver(IOCompletion(token: IOToken(slot: 3, generation: 9), result: 0), at: 0)
            return .ready
        }
        device.hooks.inspect = { number throws(Errno) in
            if number == 99 { throw .badFileDescriptor }
            return IODescriptorFacts(size: 3)
        }
        var loop = try makeLoop(device)
        for _ in 0..<3 { _ = loop.submit(.read(file, into: IOBuffer(capacity: 3), at: 0)) }
        _ = loop.wait(minimum: 3)
        var count = 0
        while loop.next() != nil { count += 1 }
        #expect(count == 3 && loop.statistics.staleCompletions == 1)
        #expect(order.withLock { $0 } == [2, 1, 0])
        let unknown = FileDescriptor(rawValue: 99)
        let event = try loop.finish(.read(unknown, into: IOBuffer(capacity: 1), at: 0))
        #expect(event.errno == .badFileDescriptor)
        device.hooks.stage = { _, _ in .full }
        device.hooks.submit = nil
        _ = loop.submit(.noOperation())
        _ = loop.wait()
        let full = try unwrap(loop.next())
        #expect(full.errno == .resourceTemporarilyUnavailable && device.counts.full > 100)
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

/// An object in charge of a driver: answers requests backwards, two at a time.
private final class Backwards: MockConductor {
    var staged: [IORequest] = []
    var finished: [IOCompletion] = []
    var hastened = 0

    var capabilities: IOCapabilities { IOCapabilities(name: "backwards", depth: 8) }

    func stage(_ request: IORequest) -> IOStaging {
        staged.append(request)
        return .queued
    }

    func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        for request in staged.suffix(2).reversed() {
            finished.append(IOCompletion(token: request.token, result: 0))
        }
        staged.removeLast(min(2, staged.count))
        return .ready
    }

    func reap(into completions: inout OutputSpan<IOCompletion>) {
        while !completions.isFull, !finished.isEmpty { completions.append(finished.removeFirst()) }
    }

    func hasten() { hastened += 1 }
}

@Suite struct ConductorTests {
    @Test func anObjectIsInChargeOfItsDriver() throws {
        let conductor = Backwards()
        var driver = ConductedDriver(conductor)
        for slot in 0..<5 as Range<UInt32> {
            _ = driver.stage(
                unsafe IORequest(
                    token: IOToken(slot: slot, generation: 0), action: .noOperation))
        }
        var order: [UInt32] = []
        for _ in 0..<3 {
            #expect(driver.submit(minimum: 1, deadline: nil) == .ready)
            order += driver.reapedInOrder().map(\.0.slot)
        }
        #expect(order == [4, 3, 2, 1, 0])
        #expect(driver.cancel(IOToken(rawValue: 0)) == .tooLate)
        driver.hasten()
        #expect(conductor.hastened == 1 && driver.capabilities.name == "backwards")
        do {
            _ = try driver.inspect(999_999)
            Issue.record("nobody has that open")
        } catch {
            #expect(error == .badFileDescriptor)
        }
    }
}
