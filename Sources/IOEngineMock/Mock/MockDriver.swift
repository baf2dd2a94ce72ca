public import IOEngineCore
public import SystemPackage

/// A driver that does what the script of its ``MockDevice`` says, or its ``MockConductor``. Made with
/// ``MockDevice/makeDriver(depth:conductor:)``.
///
/// No kernel, no threads, no real time. With nothing to do and no deadline it blocks on its waker; if
/// nobody has one, it answers that it failed with EDEADLK, because nothing could end the wait.
public struct MockDriver: IODriver, ~Copyable {
    /// Its requests. For the driver's thread.
    public let queue: MockQueue
    private let conductor: (any MockConductor)?

    init(_ queue: MockQueue, _ conductor: (any MockConductor)?) {
        self.queue = queue
        self.conductor = conductor
    }

    public var device: MockDevice { queue.device }

    public var capabilities: IOCapabilities {
        IOCapabilities(
            name: "mock", depth: queue.depth, maximumVectors: device.maximumVectors,
            setUp: "files in memory, answers from a script")
    }

    public var waker: IOWaker { queue.waker }

    public func now() -> IOInstant { device.now }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        let answer = conductor?.stage(request, queue) ?? queue.stage(request)
        if answer == .full { device.state.withLock { $0.counts.full += 1 } }
        return answer
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        device.state.withLock { $0.counts.submits += 1 }
        return conductor?.submit(queue, minimum: minimum, deadline: deadline)
            ?? queue.submit(minimum: minimum, deadline: deadline)
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        queue.reap(into: &completions)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        device.state.withLock { $0.counts.cancels += 1 }
        return conductor?.cancel(token, queue) ?? queue.cancel(token)
    }

    public mutating func hasten() { device.state.withLock { $0.counts.hastens += 1 } }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        guard let conductor else { return try device.inspect(descriptor) }
        return try conductor.inspect(descriptor, device)
    }
}
