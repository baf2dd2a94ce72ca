internal import Glibc
public import IOEngineCore
internal import Synchronization
public import SystemPackage

/// A driver that does what the script of its ``MockDevice`` says. Made with
/// ``MockDevice/makeDriver(depth:)``.
///
/// No kernel, no threads, no real time. With nothing to do and no deadline it blocks on its waker; if
/// nobody has one, it answers that it failed with EDEADLK, because nothing could end the wait.
public struct MockDriver: IODriver, ~Copyable {
    public let device: MockDevice
    private var queue: MockQueue
    private let gate: IOWakeGate
    /// Waits in a row that nothing could end.
    private var deadlocks = 0

    init(_ device: MockDevice, depth: Int, gate: IOWakeGate) {
        self.device = device
        queue = MockQueue(device, depth: depth)
        self.gate = gate
    }

    public var capabilities: IOCapabilities {
        IOCapabilities(
            name: "mock", depth: queue.depth,
            maximumVectors: device.state.withLock { $0.medium.configuration.maximumVectors },
            setUp: "files in memory, answers from a script")
    }

    public var waker: IOWaker { gate.waker }

    public func now() -> IOInstant { device.now }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        if let answer = device.hooks.stage?(request, queue) {
            guard answer == .queued else {
                device.state.withLock { $0.counts.full += 1 }
                return .full
            }
        } else if queue.count >= queue.depth {
            device.state.withLock { $0.counts.full += 1 }
            return .full
        }
        let slot = request.token.slot
        if Int(slot) >= queue.depth {
            note("slot \(slot) is not below the depth of \(queue.depth)")
        }
        if queue.holds(slot: slot) { note("slot \(slot) is in flight twice") }
        queue.staged.append(request)
        return .queued
    }

    private func note(_ violation: String) {
        // A loop that is wrong is wrong often.
        device.state.withLock { state in
            if state.violations.count < 100 { state.violations.append(violation) }
        }
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        device.state.withLock { $0.counts.submits += 1 }
        if let submit = device.hooks.submit { return submit(&queue, minimum, deadline) }
        let isWoken = gate.takeWakeUp()
        perform()
        release()
        if isWoken || queue.finished.count >= minimum
            || (!queue.finished.isEmpty && queue.inFlight.isEmpty)
        {
            deadlocks = 0
            return .ready
        }
        if let deadline {
            device.state.withLock { $0.clock = max($0.clock, deadline.nanoseconds) }
            return .deadlinePassed
        }
        if !queue.finished.isEmpty { return .ready }
        if gate.isAskedFor { return gate.wait() }
        deadlocks += 1
        precondition(
            deadlocks <= 10_000,
            "waiting for ever on a mock: no deadline, no waker, and what is in flight is held")
        return .failed(errno: EDEADLK)
    }

    /// Ends what is staged as the script says; what is held stays in flight.
    private mutating func perform() {
        while let request = queue.staged.first {
            queue.take(1)
            let answer = device.state.withLock { $0.nextAnswer(request) }
            if answer != .isHeld { queue.finish(at: queue.inFlight.count - 1, answer) }
        }
    }

    /// Ends what is held and was released.
    private mutating func release() {
        while !queue.inFlight.isEmpty {
            let answer = device.state.withLock { state in
                state.releases.isEmpty ? nil : state.releases.removeFirst()
            }
            guard let answer else { return }
            queue.finish(at: 0, answer)
        }
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        let count = min(completions.freeCapacity, queue.finished.count)
        for completion in queue.finished[..<count] { completions.append(completion) }
        queue.finished.removeFirst(count)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        device.state.withLock { $0.counts.cancels += 1 }
        if let index = queue.staged.firstIndex(where: { $0.token == token }) {
            queue.inFlight.append(queue.staged.remove(at: index))
            queue.finish(at: queue.inFlight.count - 1, .fails(.canceled))
            return .cancelled
        }
        if let index = queue.inFlight.firstIndex(where: { $0.token == token }) {
            queue.finish(at: index, .fails(.canceled))
            return .requested
        }
        return queue.finished.contains { $0.token == token } ? .tooLate : .unknown
    }

    public mutating func hasten() { device.state.withLock { $0.counts.hastens += 1 } }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        if let inspect = device.hooks.inspect { return try inspect(descriptor) }
        guard let facts = device.state.withLock({ $0.facts(descriptor) }) else {
            throw .badFileDescriptor
        }
        return facts
    }
}
