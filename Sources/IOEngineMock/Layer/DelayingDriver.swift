public import IOEngineCore
public import SystemPackage

/// A layer that makes every request of any driver take longer, by times drawn from a seed, on the
/// base's clock.
///
/// ```swift
/// let slow = DelayingDriver(
///     try URingDriver(depth: 32), by: .exponential(minimum: .zero, mean: .milliseconds(5)), seed: 7)
/// ```
///
/// It holds completions back, not requests: what is delayed is done already, and cancelling it comes too
/// late.
public struct DelayingDriver<Base: IODriver & ~Copyable>: IODriver, ~Copyable {
    public private(set) var base: Base
    private let latency: SimulatedLatency
    private var random: SimulationRandom
    private var queue: LayerQueue

    /// - Parameters:
    ///   - base: Any driver, another layer as well.
    ///   - latency: What is added to the base's own time.
    ///   - seed: What all chance comes from.
    public init(_ base: consuming Base, by latency: SimulatedLatency, seed: UInt64) {
        let depth = base.capabilities.depth
        self.base = base
        self.latency = latency
        random = SimulationRandom(seed: seed)
        queue = LayerQueue(depth: depth)
    }

    public var capabilities: IOCapabilities {
        var capabilities = base.capabilities
        capabilities.setUp = "delayed; " + capabilities.setUp
        return capabilities
    }

    public var counters: IODriverCounters { base.counters }
    public var waker: IOWaker { base.waker }
    public func now() -> IOInstant { base.now() }
    public func coarseNow() -> IOInstant { base.coarseNow() }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        guard queue.hasRoom, base.stage(request) == .queued else { return .full }
        queue.accept()
        return .queued
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        let latency = self.latency
        var random = self.random
        defer { self.random = random }
        return queue.wait(over: &base, minimum: minimum, deadline: deadline) {
            queue, completion, now in
            let delay = latency.draw(&random)
            if delay == 0 { return queue.finish(completion) }
            queue.hold(completion, until: now.advanced(by: .nanoseconds(delay)).nanoseconds)
        }
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        queue.reap(into: &completions)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        queue.isDone(token) ? .tooLate : base.cancel(token)
    }

    public mutating func hasten() { base.hasten() }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        try base.inspect(descriptor)
    }

    @unsafe
    public mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration {
        unsafe base.register(regions: regions)
    }

    public mutating func register(descriptor: Int32) -> IORegistration {
        base.register(descriptor: descriptor)
    }

    public mutating func unregister(descriptorIndex: Int32) {
        base.unregister(descriptorIndex: descriptorIndex)
    }
}
