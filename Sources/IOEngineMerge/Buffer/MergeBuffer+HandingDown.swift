public import IOEngineCore

extension MergeBuffer {
    /// The next request to hand down, or nil when nothing is due. Follow it with ``handedDown()`` or
    /// ``putBack()``.
    public mutating func next() -> IORequest? {
        if !repeats.isEmpty {
            offer = .repeated
            return requests[Int(repeats.first)]
        }
        if first == planned, !plan() { return nil }
        if !planIsPlain, let joined = join() { return joined }
        offer = .lone
        return requests[Int(order[first])]
    }

    /// The request that ``next()`` returned is in flight: its completion comes in through
    /// ``complete(_:)``.
    public mutating func handedDown() {
        statistics.requestsOut &+= 1
        switch offer {
        case .nothing:
            preconditionFailure("nothing was taken out")
        case .repeated:
            states[Int(repeats.pop())] = .lone
        case .lone:
            states[Int(order[first])] = .lone
            advance(1)
        case .joined(let parts):
            joinedInFlight &+= 1
            surplusInFlight &+= parts &- 1
            statistics.partsJoined &+= UInt64(parts)
            for i in 0..<parts { states[Int(order[first &+ i])] = .joined }
            advance(parts)
        }
        offer = .nothing
    }

    /// The request that ``next()`` returned was not taken: it will be returned again.
    public mutating func putBack() {
        if case .joined = offer {
            let slot = Int(order[first])
            release(groups[slot])
            groups[slot].parts = 0
        }
        offer = .nothing
    }

    @inline(__always)
    private mutating func advance(_ count: Int) {
        first &+= count
        startOverIfEmpty()
    }

    /// The oldest request that is due ends with EAGAIN, because nobody takes it.
    @usableFromInline
    mutating func refuseFirst() {
        let slot: UInt32
        if !repeats.isEmpty {
            slot = repeats.pop()
        } else if first < planned || plan() {
            slot = order[first]
            advance(1)
        } else {
            return
        }
        states[Int(slot)] = .finished
        finished.push(
            IOCompletion(token: requests[Int(slot)].token, result: 0 - MergeBuffer.againErrno))
    }

    /// With nothing left the order begins at its start again.
    @usableFromInline
    mutating func startOverIfEmpty() {
        if first < end { return }
        first = 0
        planned = 0
        end = 0
        dueEnd = 0
    }

    /// Whether the next requests pass unchanged, up to `planned`: a driver may then take them where
    /// they lie, and say so with ``passed(_:)``.
    @usableFromInline
    mutating func preparePlain() -> Bool {
        guard repeats.isEmpty, first < planned || plan() else { return false }
        return planIsPlain
    }

    /// So many of the next requests were handed down, and their states changed.
    @usableFromInline
    mutating func passed(_ count: Int) {
        statistics.requestsOut &+= UInt64(count)
        advance(count)
    }
}
