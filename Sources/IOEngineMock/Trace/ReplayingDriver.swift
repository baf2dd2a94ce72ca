internal import Glibc
public import IOEngineCore
internal import Synchronization
public import SystemPackage

/// A trace that is being played, and how far it is.
public final class TraceReplay: Sendable {
    private struct State {
        var position = 0
        var divergence: String?
    }

    public let trace: IOTrace
    private let state = LockedValue(State())

    public init(_ trace: IOTrace) { self.trace = trace }

    /// The driver that plays the trace. Make one.
    public func makeDriver() -> ReplayingDriver { ReplayingDriver(self) }

    /// Where the run that is played to departed from the trace; nil: it has not.
    public var divergence: String? { state.withLock { $0.divergence } }

    /// Whether everything was played.
    public var isFinished: Bool { state.withLock { $0.position } == trace.calls.count }

    /// The next call of the trace, if `accept` takes it. What it does not take is a divergence, and so is
    /// all that follows one.
    func next<Answer>(
        _ asked: @autoclosure () -> String, _ accept: (IOTrace.Call) -> Answer?
    ) -> Answer? {
        let position = state.withLock { $0.divergence == nil ? $0.position : nil }
        guard let position else { return nil }
        guard position < trace.calls.count else {
            diverge("call \(position + 1): \(asked()), but the trace ends here")
            return nil
        }
        guard let answer = accept(trace.calls[position]) else {
            diverge("call \(position + 1): \(asked()), but the trace has: \(trace.calls[position])")
            return nil
        }
        state.withLock { $0.position += 1 }
        return answer
    }

    private func diverge(_ text: String) { state.withLock { $0.divergence = text } }
}

/// A driver that gives the answers of a trace, in order: the same completions, the same bytes, the same
/// times. Made with ``TraceReplay/makeDriver()``.
///
/// The code above must make the same calls as when the trace was recorded; numbers of descriptors and
/// deadlines may differ. Where it does not, ``TraceReplay/divergence`` says so, and from there on every
/// request ends with ECANCELED. It never waits.
public struct ReplayingDriver: IODriver, ~Copyable {
    public let replay: TraceReplay
    private var requests: [IORequest] = []
    private var clock: Int64 = 0

    init(_ replay: TraceReplay) { self.replay = replay }

    public var capabilities: IOCapabilities {
        let trace = replay.trace
        return IOCapabilities(
            name: "replay", depth: trace.depth, maximumVectors: trace.maximumVectors,
            actions: Set(IOAction.allCases.filter { trace.actions & 1 << $0.rawValue != 0 }),
            setUp: "replays a trace of \(trace.driver)")
    }

    public func now() -> IOInstant { IOInstant(nanoseconds: clock) }

    public mutating func stage(_ request: IORequest) -> IOStaging {
        let asked = IOTrace.Request(request)
        let answer = replay.next(IOTrace.Call.stage(asked, .queued).description) { call in
            if case .stage(let recorded, let answer) = call, recorded.asksForTheSame(as: asked) {
                answer
            } else {
                nil
            }
        }
        // After a divergence everything is taken, and cancelled.
        if answer != .full { requests.append(request) }
        return answer ?? .queued
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        let answer: (IOWaitOutcome, Int64)? = replay.next("a submission for \(minimum)") { call in
            if case .submit(minimum, _, let outcome, let nanoseconds) = call {
                (outcome, nanoseconds)
            } else {
                nil
            }
        }
        guard let (outcome, nanoseconds) = answer else { return .ready }
        clock = nanoseconds
        return outcome
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        let room = completions.freeCapacity
        let answer: [IOTrace.Completion]? = replay.next("a reap with room for \(room)") { call in
            if case .reap(let recorded) = call, recorded.count <= room { recorded } else { nil }
        }
        guard let answer else { return cancelAll(into: &completions) }
        for completion in answer {
            completions.append(IOCompletion(token: completion.token, result: completion.result))
            guard let index = requests.firstIndex(where: { $0.token == completion.token }) else {
                continue
            }
            let request = requests.remove(at: index)
            guard request.action.isRead, completion.result > 0 else { continue }
            var memory = RequestMemory(request)
            memory.fill(min(completion.result, request.length), with: completion.bytes)
        }
    }

    private mutating func cancelAll(into completions: inout OutputSpan<IOCompletion>) {
        while !completions.isFull, let request = requests.popLast() {
            completions.append(IOCompletion(token: request.token, result: -Int(ECANCELED)))
        }
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        replay.next("a cancellation of slot \(token.slot)") { call in
            if case .cancel(token, let answer) = call { answer } else { nil }
        } ?? .tooLate
    }

    public mutating func hasten() {
        _ = replay.next("a hasten") { call in call == .hasten ? true : nil }
    }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        let facts = replay.next("an inspect of \(descriptor)") { call in
            if case .inspect(_, let facts) = call { facts } else { nil }
        }
        switch facts {
        case .known(let facts): return facts
        case .failed(let errno): throw Errno(rawValue: errno)
        case nil: throw .badFileDescriptor
        }
    }
}
