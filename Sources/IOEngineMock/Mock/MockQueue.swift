public import IOEngineCore

/// The requests that a mock driver has, as a hook on its submissions sees them.
///
/// A request is staged, then in flight, then finished; what is finished awaits being reaped.
public struct MockQueue: Sendable {
    let device: MockDevice
    /// Requests at most, finished ones included.
    public let depth: Int
    public internal(set) var staged: [IORequest] = []
    public internal(set) var inFlight: [IORequest] = []
    public internal(set) var finished: [IOCompletion] = []

    init(_ device: MockDevice, depth: Int) {
        self.device = device
        self.depth = depth
    }

    /// Requests of every kind.
    public var count: Int { staged.count + inFlight.count + finished.count }

    /// Puts the first `count` of what is staged in flight.
    public mutating func take(_ count: Int = .max) {
        let taken = min(max(0, count), staged.count)
        inFlight += staged[..<taken]
        staged.removeFirst(taken)
    }

    /// Ends a request that is in flight.
    ///
    /// - Parameter index: In ``inFlight``.
    public mutating func finish(at index: Int, _ answer: MockAnswer = .completes) {
        let request = inFlight.remove(at: index)
        let result = device.perform(request, answer)
        finished.append(IOCompletion(token: request.token, result: result))
    }

    /// Puts a completion among the finished ones, whether or not it belongs to a request: what a driver
    /// that breaks its contract would do.
    public mutating func deliver(_ completion: IOCompletion, at index: Int? = nil) {
        finished.insert(completion, at: index ?? finished.count)
    }

    func holds(slot: UInt32) -> Bool {
        staged.contains { $0.token.slot == slot } || inFlight.contains { $0.token.slot == slot }
    }
}
