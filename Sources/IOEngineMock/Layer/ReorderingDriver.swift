internal import Glibc
public import IOEngineCore
public import SystemPackage

/// A layer that hands requests down, and completions up, in an order drawn from a seed.
///
/// Requests in flight together have no order, so code must not depend on one; over this layer it finds
/// out. What is staged between two submissions is shuffled, what is completed is shuffled too, and some
/// completions are held back while others pass them, for at most three submissions.
public struct ReorderingDriver<Base: IODriver & ~Copyable>: IODriver, ~Copyable {
    public private(set) var base: Base
    private var random: SimulationRandom
    private var staged: [IORequest] = []
    /// Completed and held back, with the number of submissions since.
    private var pool: [(completion: IOCompletion, age: Int)] = []
    private var queue: LayerQueue

    /// - Parameters:
    ///   - base: Any driver, another layer as well.
    ///   - seed: What all chance comes from.
    public init(_ base: consuming Base, seed: UInt64) {
        let depth = base.capabilities.depth
        self.base = base
        random = SimulationRandom(seed: seed)
        queue = LayerQueue(depth: depth)
    }

    public var capabilities: IOCapabilities {
        var capabilities = base.capabilities
        capabilities.setUp = "reordered; " + capabilities.setUp
        return capabilities
    }

    public var counters: IODriverCounters { base.counters }
    public var waker: IOWaker { base.waker }
    public func now() -> IOInstant { base.now() }
    public func coarseNow() -> IOInstant { base.coarseNow() }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        guard queue.hasRoom else { return .full }
        queue.accept()
        staged.append(request)
        return .queued
    }

    /// Stages everything with the base, in a drawn order, as far as it has room.
    private mutating func handDown() {
        random.shuffle(&staged)
        while let last = staged.last, base.stage(last) == .queued { staged.removeLast() }
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        handDown()
        let missing = minimum - queue.readyCount - pool.count
        let canWait = missing > 0
        // More than one at a time only so far as there is something to wait for.
        let outcome = base.submit(
            minimum: canWait ? max(1, min(missing, atBase)) : 0, deadline: canWait ? deadline : nil)
        collect()
        // The base had no room for these before.
        if !staged.isEmpty {
            handDown()
            _ = base.submit(minimum: 0, deadline: nil)
            collect()
        }
        release(minimum: minimum, all: outcome == .deadlinePassed || atBase == 0)
        switch outcome {
        case .woken: return .woken
        case .ready: return .ready
        case .deadlinePassed: return queue.readyCount >= minimum ? .ready : .deadlinePassed
        case .failed: return queue.readyCount > 0 ? .ready : outcome
        }
    }

    /// Requests that the base has.
    private var atBase: Int { queue.elsewhere - pool.count - staged.count }

    private mutating func collect() {
        for i in pool.indices { pool[i].age += 1 }
        // At most what was in flight.
        while true {
            let found = base.reapSome()
            if found.isEmpty { return }
            for completion in found { pool.append((completion, 0)) }
        }
    }

    /// Lets completions go, at least as many as are asked for, in a drawn order.
    private mutating func release(minimum: Int, all: Bool) {
        random.shuffle(&pool)
        var kept: [(completion: IOCompletion, age: Int)] = []
        for entry in pool {
            let mayStay = !all && entry.age < 3 && queue.readyCount >= minimum
            if mayStay, random.happens(40) {
                kept.append(entry)
            } else {
                queue.finish(entry.completion)
            }
        }
        pool = kept
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        queue.reap(into: &completions)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        if let index = staged.firstIndex(where: { $0.token == token }) {
            staged.remove(at: index)
            pool.append((IOCompletion(token: token, result: -Int(ECANCELED)), 0))
            return .cancelled
        }
        if queue.isDone(token) || pool.contains(where: { $0.completion.token == token }) {
            return .tooLate
        }
        return base.cancel(token)
    }

    public mutating func hasten() {
        handDown()
        base.hasten()
    }

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
