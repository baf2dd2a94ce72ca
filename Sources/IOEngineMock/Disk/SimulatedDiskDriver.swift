internal import Glibc
public import IOEngineCore
internal import Synchronization
public import SystemPackage

/// The driver of a ``SimulatedDisk``. Made with ``SimulatedDisk/makeDriver(depth:)``.
///
/// Waiting costs no time: the disk's clock jumps. With nothing to come and no deadline it blocks on its
/// waker; if nobody has one it answers that it failed with EDEADLK, because nothing could end the
/// wait. Dropped with requests in flight, their writes may have come about or not, as the seed says.
public struct SimulatedDiskDriver: IODriver, ~Copyable {
    public let disk: SimulatedDisk
    private let number: Int
    private let depth: Int
    private let gate: IOWakeGate
    /// Waits in a row that nothing could end.
    private var deadlocks = 0

    init(_ disk: SimulatedDisk, number: Int, depth: Int, gate: IOWakeGate) {
        self.disk = disk
        self.number = number
        self.depth = depth
        self.gate = gate
    }

    deinit { disk.state.withLock { $0.close(queue: number) } }

    public var capabilities: IOCapabilities {
        IOCapabilities(
            name: "simulated", depth: depth,
            maximumVectors: min(disk.configuration.maximumVectors, IOVector.maximumCount),
            setUp: "a simulated disk with seed \(disk.configuration.seed)")
    }

    public var waker: IOWaker { gate.waker }

    public func now() -> IOInstant { disk.now }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        disk.state.withLock { $0.stage(request, queue: number) }
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        // A wake-up that came counts as a completion.
        let isWoken = minimum > 0 && gate.takeWakeUp()
        let advance = disk.state.withLock { state in
            state.advance(queue: number, minimum: isWoken ? 0 : minimum, deadline: deadline)
        }
        if isWoken { return .woken }
        switch advance {
        case .ended(let outcome):
            deadlocks = 0
            return outcome
        case .idle:
            if gate.isAskedFor { return gate.wait() }
            deadlocks += 1
            precondition(
                deadlocks <= 10_000,
                "waiting for ever on a simulated disk: no deadline, no waker, "
                    + "and nothing in flight that ends by itself")
            return .failed(errno: EDEADLK)
        }
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        disk.state.withLock { $0.queues[number].reap(into: &completions) }
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        disk.state.withLock { $0.cancel(token, queue: number) }
    }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        let facts = disk.state.withLock { state in
            state.medium.openFile(descriptor).map { state.medium.facts($0) }
        }
        guard let facts else { throw .badFileDescriptor }
        return facts
    }
}
