internal import IOEngineCore

/// Completions between a base and the user of a layer: those to be reaped, and those held until a time.
struct LayerQueue {
    private struct Held {
        var due: Int64
        var arrival: UInt64
        var completion: IOCompletion

        static func < (a: Self, b: Self) -> Bool {
            a.due != b.due ? a.due < b.due : a.arrival < b.arrival
        }
    }

    /// Requests that the layer accepted and that were not reaped from it.
    private(set) var count = 0
    let depth: Int
    private var ready: [IOCompletion] = []
    private var taken = 0
    /// Sorted by time, the last one first.
    private var held: [Held] = []
    private var arrivals: UInt64 = 0

    init(depth: Int) {
        self.depth = depth
        ready.reserveCapacity(min(depth, 256))
    }

    var hasRoom: Bool { count < depth }

    var readyCount: Int { ready.count - taken }

    var heldCount: Int { held.count }

    /// Requests that are neither ready nor held: the base has them, or the layer itself.
    var elsewhere: Int { count - readyCount - heldCount }

    mutating func accept() { count += 1 }

    /// Something can be reaped.
    mutating func finish(_ completion: IOCompletion) { ready.append(completion) }

    /// Something can be reaped from a time on.
    mutating func hold(_ completion: IOCompletion, until due: Int64) {
        arrivals += 1
        let new = Held(due: due, arrival: arrivals, completion: completion)
        var low = 0
        var high = held.count
        while low < high {
            let middle = (low + high) / 2
            if new < held[middle] { low = middle + 1 } else { high = middle }
        }
        held.insert(new, at: low)
    }

    /// When the next held completion is due.
    var nextDue: Int64? { held.last?.due }

    mutating func releaseDue(_ now: IOInstant) {
        while let last = held.last, last.due <= now.nanoseconds {
            ready.append(last.completion)
            held.removeLast()
        }
    }

    func isDone(_ token: IOToken) -> Bool {
        ready[taken...].contains { $0.token == token }
            || held.contains { $0.completion.token == token }
    }

    mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        while taken < ready.count, !completions.isFull {
            completions.append(ready[taken])
            taken += 1
            count -= 1
        }
        guard taken == ready.count || taken > 4096 else { return }
        ready.removeFirst(taken)
        taken = 0
    }

    /// Waits over a base until `minimum` completions can be reaped from here.
    ///
    /// - Parameters:
    ///   - kept: Requests that the layer has and the base has not.
    ///   - settle: What becomes of a completion of the base: it is finished or held.
    mutating func wait<Base: IODriver & ~Copyable>(
        over base: inout Base, minimum: Int, deadline: IOInstant?,
        kept: Int = 0, _ settle: (inout LayerQueue, IOCompletion, IOInstant) -> Void
    ) -> IOWaitOutcome {
        if minimum <= 0 { return handOver(over: &base, settle) }
        var isHandedOver = false
        // Ends: each round reaps something, passes a time that is due, or returns.
        while true {
            if nextDue != nil { releaseDue(base.now()) }
            let missing = minimum - readyCount
            if missing <= 0 || (readyCount > 0 && elsewhere == 0 && heldCount == 0) {
                return isHandedOver ? .ready : handOver(over: &base, settle)
            }
            let limit = earlier(deadline, nextDue)
            let outcome = base.submit(
                minimum: max(1, min(missing, elsewhere - kept)), deadline: limit)
            isHandedOver = true
            let reaped = collect(from: &base, settle)
            switch outcome {
            case .failed: return readyCount > 0 ? .ready : outcome
            case .woken: return .woken
            case .ready: if reaped == 0 { return .ready }
            case .deadlinePassed:
                let now = base.now()
                releaseDue(now)
                if let deadline, now >= deadline {
                    return readyCount >= minimum ? .ready : .deadlinePassed
                }
            }
        }
    }

    private mutating func handOver<Base: IODriver & ~Copyable>(
        over base: inout Base, _ settle: (inout LayerQueue, IOCompletion, IOInstant) -> Void
    ) -> IOWaitOutcome {
        let outcome = base.submit(minimum: 0, deadline: nil)
        _ = collect(from: &base, settle)
        if nextDue != nil { releaseDue(base.now()) }
        return readyCount > 0 ? .ready : outcome
    }

    /// Takes everything from the base. Returns how much that was.
    private mutating func collect<Base: IODriver & ~Copyable>(
        from base: inout Base, _ settle: (inout LayerQueue, IOCompletion, IOInstant) -> Void
    ) -> Int {
        var all = 0
        var found: [IOCompletion] = []
        repeat {
            found = base.reapSome()
            if found.isEmpty { break }
            let now = base.now()
            for completion in found { settle(&self, completion, now) }
            all += found.count
        } while all < 2 * depth
        return all
    }

    private func earlier(_ deadline: IOInstant?, _ due: Int64?) -> IOInstant? {
        guard let due else { return deadline }
        let own = IOInstant(nanoseconds: due)
        return deadline.map { min($0, own) } ?? own
    }
}

extension IODriver where Self: ~Copyable {
    /// Up to 64 completions.
    mutating func reapSome() -> [IOCompletion] {
        unsafe withUnsafeTemporaryAllocation(of: IOCompletion.self, capacity: 64) { memory in
            var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
            reap(into: &span)
            let count = unsafe span.finalize(for: memory)
            return unsafe Array(memory[..<count])
        }
    }
}
