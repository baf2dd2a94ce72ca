internal import IOEngineCore

/// What one driver of a disk has: staged, in flight, finished.
struct DiskQueue {
    let depth: Int
    let gate: IOWakeGate
    var staged: [PendingRequest] = []
    var inFlight = 0
    private var finished: [IOCompletion] = []
    private var taken = 0

    init(depth: Int, gate: IOWakeGate) {
        self.depth = depth
        self.gate = gate
    }

    var finishedCount: Int { finished.count - taken }

    /// Every request has its place until it is reaped.
    var hasRoom: Bool { staged.count + inFlight + finishedCount < depth }

    mutating func finish(_ token: IOToken, _ result: Int) {
        finished.append(IOCompletion(token: token, result: result))
    }

    mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        while taken < finished.count, !completions.isFull {
            completions.append(finished[taken])
            taken += 1
        }
        if taken == finished.count {
            finished.removeAll(keepingCapacity: true)
            taken = 0
        } else if taken > depth {
            finished.removeFirst(taken)
            taken = 0
        }
    }

    func hasFinished(_ token: IOToken) -> Bool { finished[taken...].contains { $0.token == token } }

    /// Nothing that was not reaped succeeds.
    mutating func replaceFinished(by result: Int) {
        for i in taken..<finished.count { finished[i].result = result }
    }

    mutating func removeAll() {
        staged.removeAll()
        finished.removeAll()
        taken = 0
        inFlight = 0
    }
}

/// A request between staging and completion.
struct PendingRequest {
    var request: IORequest
    /// Which driver's.
    var queue: Int
    var effect: IOFault.Effect?
    /// For a sync: what had completed when it was staged, and the size then.
    var coveredOrdinal: UInt64 = 0
    var coveredSize: Int64 = 0
    /// What a cancellation made of it.
    var cancellation: Cancellation = .none

    enum Cancellation {
        case none
        /// Asked for, and it goes on all the same.
        case ignored
        /// Ends with ECANCELED.
        case takesEffect
        /// Moves so many bytes only.
        case cutsShort(Int)
    }

    var isStuck: Bool { if case .isStuck = effect { true } else { false } }
}
