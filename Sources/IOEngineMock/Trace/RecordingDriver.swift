public import IOEngineCore
internal import Synchronization
public import SystemPackage

/// Where a ``RecordingDriver`` writes to. May be read from any thread.
public final class TraceRecorder: Sendable {
    private struct State {
        var trace = IOTrace(driver: "", depth: 0, maximumVectors: 0, actions: 0, calls: [])
        var dropped = 0
    }

    private let state = LockedValue(State())
    /// Calls kept; later ones are counted and dropped.
    public let limit: Int
    /// Whether the bytes that reads got are kept, which a replay needs to give them back.
    public let keepsBytes: Bool

    /// - Parameters:
    ///   - limit: Calls kept.
    ///   - keepsBytes: Keep what reads got; costs a copy.
    public init(limit: Int = 1_000_000, keepsBytes: Bool = true) {
        self.limit = limit
        self.keepsBytes = keepsBytes
    }

    /// What was recorded so far.
    public var trace: IOTrace { state.withLock { $0.trace } }

    /// Calls beyond the limit, which were not kept.
    public var dropped: Int { state.withLock { $0.dropped } }

    /// The last calls, one a line, for the report of a failure.
    public func lastCalls(_ count: Int) -> String {
        state.withLock { state in
            state.trace.calls.suffix(count).map(\.description).joined(separator: "\n")
        }
    }

    func begin(_ capabilities: IOCapabilities) {
        var actions: UInt16 = 0
        for action in capabilities.actions { actions |= 1 << action.rawValue }
        state.withLock { state in
            state.trace.driver = capabilities.name
            state.trace.depth = capabilities.depth
            state.trace.maximumVectors = capabilities.maximumVectors
            state.trace.actions = actions
        }
    }

    func add(_ call: IOTrace.Call) {
        state.withLock { state in
            if state.trace.calls.count < limit {
                state.trace.calls.append(call)
            } else {
                state.dropped += 1
            }
        }
    }
}

/// A layer that writes down every call to a driver and every answer.
///
/// It changes nothing. What it wrote can be played back by a ``ReplayingDriver``, without the base: a
/// run on a real disk that went wrong becomes a test.
public struct RecordingDriver<Base: IODriver & ~Copyable>: IODriver, ~Copyable {
    public private(set) var base: Base
    private let recorder: TraceRecorder
    /// By slot, so that the bytes of a read can be found when it is reaped.
    private var requests: [IORequest?]

    public init(_ base: consuming Base, recorder: TraceRecorder) {
        let capabilities = base.capabilities
        self.base = base
        self.recorder = recorder
        requests = Array(repeating: nil, count: capabilities.depth)
        recorder.begin(capabilities)
    }

    public var capabilities: IOCapabilities {
        var capabilities = base.capabilities
        capabilities.setUp = "recorded; " + capabilities.setUp
        return capabilities
    }

    public var counters: IODriverCounters { base.counters }
    public var waker: IOWaker { base.waker }
    public func now() -> IOInstant { base.now() }
    public func coarseNow() -> IOInstant { base.coarseNow() }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        let answer = base.stage(request)
        recorder.add(.stage(IOTrace.Request(request), answer))
        let slot = Int(request.token.slot)
        if answer == .queued, recorder.keepsBytes, slot < requests.count {
            requests[slot] = request
        }
        return answer
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        let outcome = base.submit(minimum: minimum, deadline: deadline)
        recorder.add(
            .submit(
                minimum: minimum, deadline: deadline?.nanoseconds, outcome,
                nanoseconds: base.now().nanoseconds))
        return outcome
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        let before = completions.count
        base.reap(into: &completions)
        var found: [IOTrace.Completion] = []
        for i in before..<completions.count {
            let completion = completions[i]
            found.append(
                IOTrace.Completion(
                    token: completion.token, result: completion.result, bytes: bytes(completion)))
        }
        recorder.add(.reap(found))
    }

    /// What a read got. Its memory is valid: it is being reaped just now.
    private mutating func bytes(_ completion: IOCompletion) -> [UInt8] {
        let slot = Int(completion.token.slot)
        guard recorder.keepsBytes, completion.result > 0, slot < requests.count,
            let request = requests[slot], request.token == completion.token, request.action.isRead
        else { return [] }
        requests[slot] = nil
        var memory = RequestMemory(request)
        return memory.bytes(min(completion.result, request.length))
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        let answer = base.cancel(token)
        recorder.add(.cancel(token, answer))
        return answer
    }

    public mutating func hasten() {
        base.hasten()
        recorder.add(.hasten)
    }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        do {
            let facts = try base.inspect(descriptor)
            recorder.add(.inspect(descriptor, .known(facts)))
            return facts
        } catch {
            recorder.add(.inspect(descriptor, .failed(errno: error.rawValue)))
            throw error
        }
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
