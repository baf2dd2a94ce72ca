import IOEngineCore
import ToyDriver

/// A driver at whose calls a test steps in. Its clock is a count of calls.
struct HookedDriver: IODriver, ~Copyable {
    /// What a test does.
    struct Hooks {
        /// Called before each call of `submit`, with its number, from 0.
        var onSubmit: (Int) -> Void = { _ in }
        /// An answer in place of the real one, which is then not asked for: a negative errno.
        var answer: (IORequest) -> Int? = { _ in nil }
        /// How far the clock moves with each call of `submit`.
        var nanosecondsOfSubmit: Int64 = 0
    }

    private var base: ToyDriver
    private let hooks: Hooks
    private var answered: [IOCompletion] = []
    private var submits = 0

    init(depth: Int, _ hooks: Hooks) {
        base = ToyDriver(depth: depth)
        self.hooks = hooks
    }

    var capabilities: IOCapabilities { base.capabilities }

    func now() -> IOInstant {
        IOInstant(nanoseconds: Int64(submits) * hooks.nanosecondsOfSubmit)
    }

    mutating func stage(_ request: IORequest) -> IOStaging {
        guard let result = hooks.answer(request) else { return base.stage(request) }
        answered.append(IOCompletion(token: request.token, result: result))
        return .queued
    }

    mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        hooks.onSubmit(submits)
        submits += 1
        // What the hooks answered is there: the base, which has nothing of it, must not wait.
        return base.submit(minimum: answered.isEmpty ? minimum : 0, deadline: deadline)
    }

    mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        while !completions.isFull, let completion = answered.popLast() {
            completions.append(completion)
        }
        base.reap(into: &completions)
    }
}
