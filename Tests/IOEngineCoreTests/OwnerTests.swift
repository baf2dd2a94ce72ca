import IOEngineMock
import SystemPackage
import TestSupport
import Testing

@testable import IOEngineCore

/// A number has had several owners one after the other: what is asked for one does not hit another.
@Suite struct OwnerTests {
    /// Two objects of one number, as when the first was closed before the second was opened.
    let first = IODescriptor(simulated: 5, facts: IODescriptorFacts())
    let second = IODescriptor(simulated: 5, facts: IODescriptorFacts())
    let plain = FileDescriptor(rawValue: 5)

    func read<C: IOCallback>(
        _ name: Int, _ object: IODescriptor, callback: C? = nil
    ) -> IOEvent<C> {
        Named.named(
            name,
            .read(
                object, into: IOBuffer(capacity: 100), at: Int64(name) * 1000, callback: callback))
    }

    // MARK: Cancelling

    @Test func cancellingAllOfAnObjectStopsItsOwnEventsOnly() throws {
        var steered = try SteeredLoop()
        _ = try first.close()
        try steered.submit(read(1, second))
        try steered.submit(Named.read(2, plain))
        #expect(steered.loop.cancelAll(first) == 0)
        #expect(steered.script.requests.map(\.stopAsked) == [false, false])
        #expect(steered.loop.cancelAll(second) == 1)
        #expect(steered.script.requests.map(\.stopAsked) == [true, false])
    }

    @Test func cancellingAllOfAPlainNumberStopsNothingOfAnObject() throws {
        var steered = try SteeredLoop()
        try steered.submit(read(1, second))
        try steered.submit(Named.read(2, plain))
        #expect(steered.loop.cancelAll(plain) == 1)
        #expect(steered.script.requests.map(\.stopAsked) == [false, true])
    }

    // MARK: Registration

    @Test func unregisteringAnObjectEndsItsOwnRegistrationOnly() throws {
        let register = RegisteringDriver.Register()
        var loop = try makeLoop(register)
        #expect(loop.register(first) == .registered(index: 0))
        #expect(loop.unregister(second) == true)
        #expect(register.descriptors == [0: 5])
        _ = try first.close()
        #expect(loop.register(second) == .registered(index: 1))
        #expect(loop.unregister(first) == true)
        #expect(register.descriptors == [1: 5])
        // Nor does a plain number that was closed before.
        #expect(loop.forget(plain) == true)
        #expect(register.descriptors == [1: 5])
        #expect(loop.unregister(second) == true)
        #expect(register.descriptors == [:])
    }

    @Test func aBusyObjectsRegistrationEndsWithTheLastThatUsesIt() throws {
        let register = RegisteringDriver.Register()
        let device = MockDevice()
        let hold = HoldingConductor()
        let file = device.makeFile(Array(repeating: 7, count: 4096))
        var loop = try IOLoop<NoCallback, RegisteringDriver>(
            depth: 4,
            driver: RegisteringDriver(
                device.makeDriver(depth: 4, conductor: hold), register))
        for round in 0..<2 {
            var left = 3000
            _ = loop.submit(Named.named(1, .read(file, into: IOBuffer(capacity: 8), at: 0)))
            while left > 0 || loop.inFlight > round {
                _ = loop.wait()
                loop.forEachFinished { event in
                    left -= 1
                    if left == 1000, round == 1 {
                        return .release
                    }
                    event.restart()
                    return left > 0 ? .submitAgain : .release
                }
                if left == 1000, round == 1 { break }
                if left == 2000, round == 1 {
                    // A plain event of the same number, while the object is busy.
                    let number = FileDescriptor(rawValue: file.rawValue)
                    _ = loop.submit(
                        Named.named(9, .read(number, into: IOBuffer(capacity: 8), at: 0)))
                }
            }
            #expect(register.count == round + 1)
            if round == 0 { #expect(register.descriptors == [:]) }
        }
        hold.isHolding = false
        while loop.inFlight > 0 {
            _ = loop.wait()
            while loop.next() != nil {}
        }
        #expect(register.descriptors == [:])
        #expect(try file.close())
    }

    /// The kernel waits for requests on registered memory before it lets go of it, those of
    /// abandoned events included.
    @Test func aSecondPoolIsRefusedWhileAnythingIsWithTheKernel() throws {
        let register = RegisteringDriver.Register()
        let device = MockDevice()
        let hold = HoldingConductor()
        let file = device.makeFile(Array(repeating: 7, count: 4096))
        var loop = try IOLoop<NoCallback, RegisteringDriver>(
            depth: 4,
            driver: RegisteringDriver(device.makeDriver(depth: 4, conductor: hold), register))
        let pool = try IOBufferPool(count: 2, bufferCapacity: 512)
        let other = try IOBufferPool(count: 2, bufferCapacity: 512)
        #expect(loop.register(pool) == .registered(index: 0))
        let buffer = try unwrap(pool.take())
        _ = loop.submit(Named.named(9, .read(file, into: buffer, at: 0)))
        _ = loop.wait(minimum: 0)
        loop.abandonAll()
        #expect(try unwrap(loop.next()).isSettled == false)
        #expect(loop.register(other) == .unavailable(errno: Errno.resourceBusy.rawValue))
        hold.isHolding = false
        _ = loop.wait(minimum: 0)
        let isNothingLeft = loop.next() == nil
        #expect(isNothingLeft)
        #expect(loop.register(other) == .registered(index: 0))
    }

    func makeLoop(
        _ register: RegisteringDriver.Register
    ) throws -> IOLoop<NoCallback, RegisteringDriver> {
        let device = MockDevice()
        device.setOtherDescriptors(device.makeFile(Array(repeating: 7, count: 4096)))
        return try IOLoop(
            depth: 4, driver: RegisteringDriver(device.makeDriver(depth: 4), register))
    }
}

/// Holds what has the priority 9.
final class HoldingConductor: MockConductor {
    var isHolding = true

    func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        queue.take()
        var index = 0
        while index < queue.inFlight.count {
            if isHolding, queue.inFlight[index].priority.rawValue == 9 {
                index += 1
            } else {
                queue.finish(at: index)
            }
        }
        return .ready
    }

    func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation { .tooLate }
}

/// A mock that registers descriptors and memory.
struct RegisteringDriver: IODriver, ~Copyable {
    final class Register {
        /// Numbers by index.
        var descriptors: [Int32: Int32] = [:]
        /// How many registrations there were.
        var count = 0
    }

    private var base: MockDriver
    private let register: Register

    init(_ base: consuming MockDriver, _ register: Register) {
        self.base = base
        self.register = register
    }

    var capabilities: IOCapabilities {
        var capabilities = base.capabilities
        capabilities.registersDescriptors = true
        capabilities.registersMemory = true
        return capabilities
    }

    var waker: IOWaker { base.waker }
    func now() -> IOInstant { base.now() }
    mutating func stage(_ request: IORequest) -> IOStaging { base.stage(request) }
    mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        base.submit(minimum: minimum, deadline: deadline)
    }
    mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        base.reap(into: &completions)
    }
    mutating func cancel(_ token: IOToken) -> IOCancellation { base.cancel(token) }
    func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        try base.inspect(descriptor)
    }

    mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration {
        .registered(index: 0)
    }

    mutating func register(descriptor: Int32) -> IORegistration {
        let index = Int32(register.count)
        register.count += 1
        register.descriptors[index] = descriptor
        return .registered(index: index)
    }

    mutating func unregister(descriptorIndex: Int32) {
        register.descriptors[descriptorIndex] = nil
    }
}
