internal import Glibc
public import IOEngineCore

/// A complete driver, as small as one can be: it does everything in `submit`, with plain system
/// calls, while the caller waits. Copy it as the beginning of your own.
///
/// It keeps two lists: what was staged, and what is finished but not reaped. Each request that was
/// queued is in exactly one of them until its completion is reaped, so none is lost or answered
/// twice. Nothing is ever in flight between two calls, so there is nothing to cancel and no memory in
/// use when the driver ends: the defaults of the protocol serve for all the rest.
///
/// A test proves it with `DriverContract.check { ToyDriver(depth: $0) }`, from IOEngineTestKit.
public struct ToyDriver: IODriver, ~Copyable {
    private let depth: Int
    private var staged: [IORequest] = []
    private var finished: [IOCompletion] = []
    private var systemCalls: UInt64 = 0
    /// Where the driver sleeps while it has nothing to do.
    private let gate = IOWakeGate()

    /// - Parameter depth: Requests in flight at most.
    public init(depth: Int) {
        self.depth = depth
        staged.reserveCapacity(depth)
        finished.reserveCapacity(depth)
    }

    /// Says what it can do, so that the loop answers for the rest: lists of buffers arrive here one
    /// buffer at a time, and an allocate does not arrive at all.
    public var capabilities: IOCapabilities {
        IOCapabilities(
            name: "toy", depth: depth, maximumVectors: 0,
            actions: [.read, .write, .syncData, .syncFull, .noOperation],
            mayBlockCaller: ["every IO blocks the caller until it is done"],
            setUp: "synchronous pread and pwrite")
    }

    public var counters: IODriverCounters {
        var counters = IODriverCounters()
        counters.systemCalls = systemCalls
        return counters
    }

    /// Ends a wait from another thread, also one that has not begun.
    public var waker: IOWaker { gate.waker }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        // Both lists count: a finished request keeps its place until it is reaped.
        guard staged.count + finished.count < depth else { return .full }
        staged.append(request)
        return .queued
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        for request in staged {
            finished.append(IOCompletion(token: request.token, result: perform(request)))
        }
        staged.removeAll(keepingCapacity: true)
        // All that was asked for is finished. With nothing to reap, only the waker or the deadline
        // can end the wait, and until then no CPU is used.
        if minimum == 0 { return .ready }
        if finished.isEmpty { return gate.wait(until: deadline) }
        return gate.takeWakeUp() ? .woken : .ready
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        let count = min(completions.freeCapacity, finished.count)
        for completion in finished[..<count] { completions.append(completion) }
        finished.removeFirst(count)
    }

    /// Bytes moved or a negative errno, as the contract wants it: no retries and no continuing of
    /// short transfers, which are the loop's business.
    private mutating func perform(_ request: IORequest) -> Int {
        // pread and pwrite take no flags. Leaving one out would do less than the user was promised.
        guard request.flags.isEmpty else { return -Int(EOPNOTSUPP) }
        systemCalls += request.action == .noOperation ? 0 : 1
        let answer: Int
        switch request.action {
        case .read:
            // Unsafe, here and below: the loop keeps the memory until this completion is reaped.
            answer = unsafe pread(
                request.descriptor, request.address, request.length, off_t(request.offset))
        case .write:
            answer = unsafe pwrite(
                request.descriptor, request.address, request.length, off_t(request.offset))
        case .syncData: answer = Int(fdatasync(request.descriptor))
        case .syncFull: answer = Int(fsync(request.descriptor))
        case .noOperation: answer = 0
        case .readVectored, .writeVectored, .allocate: return -Int(EOPNOTSUPP)
        }
        return answer < 0 ? -Int(errno) : answer
    }
}
