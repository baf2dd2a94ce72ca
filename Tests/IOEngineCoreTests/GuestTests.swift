import IOEngineCore
import SystemPackage
import Testing

/// Events of a file whose number another file had, of which a request is still in flight.
@Suite struct GuestTests {
    /// Answers as the test says; nil: not yet.
    private final class Device: @unchecked Sendable {
        // Unchecked: a loop has one thread.
        var facts = IODescriptorFacts(inode: 1)
        var answer: (IORequest) -> Int? = { $0.length }
        var requests: [IORequest] = []
    }

    private struct Scripted: IODriver, ~Copyable {
        let device: Device
        var staged: [IORequest] = []
        var held: [IORequest] = []
        var done: [IOCompletion] = []

        init(_ device: Device) { self.device = device }

        var capabilities: IOCapabilities {
            IOCapabilities(name: "scripted", depth: 8, registersDescriptors: true)
        }

        mutating func stage(_ request: IORequest) -> IOStaging {
            device.requests.append(request)
            staged.append(request)
            return .queued
        }

        mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
            let open = held + staged
            held = []
            staged = []
            for request in open {
                if let result = device.answer(request) {
                    done.append(IOCompletion(token: request.token, result: result))
                } else {
                    held.append(request)
                }
            }
            return .ready
        }

        mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
            while !completions.isFull, !done.isEmpty { completions.append(done.removeFirst()) }
        }

        mutating func register(descriptor: Int32) -> IORegistration { .registered(index: 3) }

        func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts { device.facts }
    }

    private func finish(
        _ loop: inout IOLoop<NoCallback, Scripted>, _ event: consuming IOEvent<NoCallback>
    ) -> Errno? {
        _ = loop.submit(event)
        for _ in 0..<20 {
            if let event = loop.next() { return event.errno }
            _ = loop.wait(minimum: 0)
        }
        Issue.record("it did not end")
        return nil
    }

    /// A read of the number's first file that does not end.
    private func makeLoop(_ device: Device) throws -> IOLoop<NoCallback, Scripted> {
        device.answer = { $0.action == .read ? nil : $0.length }
        var loop = try IOLoop<NoCallback, Scripted>(depth: 8, driver: Scripted(device))
        let plain = FileDescriptor(rawValue: 5)
        let answer = loop.register(plain)
        #expect(answer == .registered(index: 3))
        _ = loop.submit(.read(plain, into: IOBuffer(capacity: 64), at: 0))
        _ = loop.wait(minimum: 0)
        return loop
    }

    private func end(_ loop: inout IOLoop<NoCallback, Scripted>, _ device: Device) {
        device.answer = { _ in 0 }
        while loop.inFlight > 0 {
            _ = loop.wait(minimum: 0)
            while loop.next() != nil {}
        }
    }

    @Test("the first file's registration and facts are not used for the second file")
    func registration() throws {
        let device = Device()
        device.facts = IODescriptorFacts(isDirect: true, inode: 1)
        var loop = try makeLoop(device)
        let file = IODescriptor(simulated: 5, facts: IODescriptorFacts(inode: 2))
        #expect(finish(&loop, .write(file, from: IOBuffer(zeroed: 64), at: 0)) == nil)
        #expect(finish(&loop, .sync(file)) == nil)
        for request in device.requests.dropFirst() {
            #expect(request.registeredDescriptor == -1)
            #expect(!request.traits.contains(.direct) && request.traits.contains(.known))
        }
        end(&loop, device)
    }

    @Test("a failed write of a second file that is open with O_SYNC is not forgotten")
    func durability() throws {
        let device = Device()
        var loop = try makeLoop(device)
        let file = IODescriptor(
            simulated: 5, facts: IODescriptorFacts(inode: 2, isSynchronous: true))
        device.answer = { $0.action == .read ? nil : $0.action == .write ? -5 : 0 }
        #expect(finish(&loop, .write(file, from: IOBuffer(zeroed: 64), at: 0)) == .ioError)
        #expect(finish(&loop, .sync(file)) == .ioError)
        end(&loop, device)
    }

    @Test("a number that is forgotten while only what was given up is in flight is new")
    func forgotten() throws {
        let device = Device()
        var loop = try makeLoop(device)
        let plain = FileDescriptor(rawValue: 5)
        let isForgotten = loop.forget(plain)
        #expect(!isForgotten)
        loop.abandonAll()
        while loop.next() != nil {}
        let isForgottenNow = loop.forget(plain)
        #expect(loop.unsettled == 1 && isForgottenNow)
        device.facts = IODescriptorFacts(inode: 2)
        #expect(finish(&loop, .write(plain, from: IOBuffer(zeroed: 64), at: 0)) == nil)
        #expect(device.requests.last?.registeredDescriptor == -1)
        end(&loop, device)
    }

    @Test("a time of birth that is not told any more does not clear a failed sync")
    func birth() throws {
        let device = Device()
        device.facts = IODescriptorFacts(inode: 1, birth: 77)
        var syncs = 0
        device.answer = { _ in
            syncs += 1
            return syncs == 1 ? -5 : 0
        }
        var loop = try IOLoop<NoCallback, Scripted>(depth: 8, driver: Scripted(device))
        let plain = FileDescriptor(rawValue: 6)
        #expect(finish(&loop, .sync(plain)) == .ioError)
        device.facts = IODescriptorFacts(inode: 1)
        #expect(finish(&loop, .sync(plain)) == .ioError)
    }
}
