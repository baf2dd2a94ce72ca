public import IOEngineCore
internal import SystemPackage

/// The requests that a ``MockDriver`` has, and what it does with them by itself.
///
/// A request is staged, then in flight, then finished; what is finished awaits being reaped. A
/// ``MockConductor`` moves requests along as it likes, and a test may keep the queue to look at it. For
/// the driver's thread only.
public final class MockQueue {
    public let device: MockDevice
    /// Requests at most, finished ones included.
    public let depth: Int
    public private(set) var staged: [IORequest] = []
    public private(set) var inFlight: [IORequest] = []
    public private(set) var finished: [IOCompletion] = []
    /// Which of the finished ones answer a request.
    private var isOwed: [Bool] = []
    private var owedCount = 0
    private let gate: IOWakeGate
    /// Waits in a row that nothing could end.
    private var deadlocks = 0

    init(_ device: MockDevice, depth: Int, gate: IOWakeGate) {
        self.device = device
        self.depth = depth
        self.gate = gate
    }

    /// Requests of every kind.
    public var count: Int { staged.count + inFlight.count + owedCount }

    public var waker: IOWaker { gate.waker }

    /// Takes a wake-up that has come. False: there is none.
    public func takeWakeUp() -> Bool { gate.takeWakeUp() }

    // MARK: Step by step

    /// Puts the first `count` of what is staged in flight.
    public func take(_ count: Int = .max) {
        let taken = min(max(0, count), staged.count)
        inFlight += staged[..<taken]
        staged.removeFirst(taken)
    }

    /// Ends a request that is in flight. Returns its result.
    ///
    /// - Parameter index: In ``inFlight``.
    @discardableResult
    public func finish(at index: Int, _ answer: MockAnswer = .completes) -> Int {
        finish(inFlight.remove(at: index), answer)
    }

    /// Ends a request that is staged or in flight. Returns its result; nil: there is none of that token.
    @discardableResult
    public func finish(_ token: IOToken, _ answer: MockAnswer = .completes) -> Int? {
        if let index = inFlight.firstIndex(where: { $0.token == token }) {
            return finish(at: index, answer)
        }
        guard let index = staged.firstIndex(where: { $0.token == token }) else { return nil }
        return finish(staged.remove(at: index), answer)
    }

    private func finish(_ request: IORequest, _ answer: MockAnswer) -> Int {
        let result = device.perform(request, answer)
        finished.append(IOCompletion(token: request.token, result: result))
        isOwed.append(true)
        owedCount += 1
        return result
    }

    /// Puts a completion among the finished ones, whether or not it belongs to a request: what a driver
    /// that breaks its contract would do.
    public func deliver(_ completion: IOCompletion, at index: Int? = nil) {
        finished.insert(completion, at: index ?? finished.count)
        isOwed.insert(false, at: index ?? isOwed.count)
    }

    /// Whether a request of that token is staged, in flight or finished.
    public func holds(_ token: IOToken) -> Bool {
        inFlight.contains { $0.token == token } || staged.contains { $0.token == token }
            || finished.contains { $0.token == token }
    }

    // MARK: What a mock does by itself

    /// Takes a request in, as long as there is room, and notes what its sender may not do.
    public func stage(_ request: IORequest) -> IOStaging {
        if count >= depth { return .full }
        let slot = request.token.slot
        if Int(slot) >= depth { device.note("slot \(slot) is not below the depth of \(depth)") }
        if inFlight.contains(where: { $0.token.slot == slot })
            || staged.contains(where: { $0.token.slot == slot })
        {
            device.note("slot \(slot) is in flight twice")
        }
        staged.append(request)
        return .queued
    }

    /// Ends what is staged as the script says, and waits as a driver must.
    public func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        let isWoken = minimum > 0 && gate.takeWakeUp()
        perform()
        release()
        if isWoken {
            deadlocks = 0
            return .woken
        }
        if finished.count >= minimum || (!finished.isEmpty && inFlight.isEmpty) {
            deadlocks = 0
            return .ready
        }
        if let deadline {
            device.setClock(atLeast: deadline)
            return .deadlinePassed
        }
        if !finished.isEmpty { return .ready }
        if gate.isAskedFor { return gate.wait() }
        deadlocks += 1
        precondition(
            deadlocks <= 10_000,
            "waiting for ever on a mock: no deadline, no waker, and what is in flight is held")
        return .failed(errno: MockDevice.deadlock)
    }

    /// Ends what is staged as the script says; what is held stays in flight.
    private func perform() {
        while let request = staged.first {
            take(1)
            let answer = device.state.withLock { $0.nextAnswer(request) }
            if answer != .isHeld { finish(at: inFlight.count - 1, answer) }
        }
    }

    /// Ends what is held and was released.
    private func release() {
        while !inFlight.isEmpty {
            let answer = device.state.withLock { state in
                state.releases.isEmpty ? nil : state.releases.removeFirst()
            }
            guard let answer else { return }
            finish(at: 0, answer)
        }
    }

    /// Stops what is not finished.
    public func cancel(_ token: IOToken) -> IOCancellation {
        let isStaged = staged.contains { $0.token == token }
        if finish(token, .fails(.canceled)) != nil { return isStaged ? .cancelled : .requested }
        return finished.contains { $0.token == token } ? .tooLate : .unknown
    }

    func reap(into completions: inout OutputSpan<IOCompletion>) {
        let count = min(completions.freeCapacity, finished.count)
        for index in 0..<count {
            completions.append(finished[index])
            if isOwed[index] { owedCount -= 1 }
        }
        finished.removeFirst(count)
        isOwed.removeFirst(count)
    }
}
