public import IOEngineCore

extension MergeBuffer {
    /// Takes a request in.
    ///
    /// - Returns: `full` when as many as the depth came in and were not answered.
    @inlinable @inline(__always)
    public mutating func add(_ request: IORequest) -> IOStaging {
        let slot = request.token.slot
        guard occupied < depth else { return .full }
        precondition(Int(slot) < depth, "a token's slot is below the depth")
        occupied &+= 1
        // Inlined up to here, so that the request is built where it stays.
        requests[Int(slot)] = request
        enrol(slot)
        return .queued
    }

    /// Puts a request that lies in its slot behind the others.
    @usableFromInline
    mutating func enrol(_ slot: UInt32) {
        if end == order.count { moveOrder() }
        let kind = RequestKind(requests[Int(slot)], limits)
        if kind == .joinable { note(slot) } else { noteOther(kind) }
        states[Int(slot)] = .staged
        kinds[Int(slot)] = kind
        order[end] = slot
        end &+= 1
        statistics.requestsIn &+= 1
        if limits.waitNanoseconds > 0 { holdBack(slot, kind) }
    }

    /// What a request that may be joined means for planning.
    @inline(__always)
    private mutating func note(_ slot: UInt32) {
        if arrivals.isInOrder {
            let offset = requests[Int(slot)].offset
            if Int(arrivals.last) < depth {
                let distance = offset &- arrivals.lastEnd
                if distance < 0 || !requests[Int(slot)].matches(requests[Int(arrivals.last)]) {
                    arrivals.isInOrder = false
                } else if distance <= Int64(limits.gap), limits.parts > 1 {
                    arrivals.mayTouch = true
                }
            }
            arrivals.last = slot
            arrivals.lastEnd = offset &+ Int64(requests[Int(slot)].length)
        }
        if !arrivals.mayTouch, limits.parts > 1, arrivals.looksForNeighbours {
            arrivals.mayTouch = neighbours.meets(
                requests[Int(slot)].offset, requests[Int(slot)].length, gap: limits.gap,
                descriptor: requests[Int(slot)].descriptor,
                isWrite: requests[Int(slot)].isWriting)
        }
    }

    private mutating func noteOther(_ kind: RequestKind) {
        arrivals.isInOrder = false
        if kind == .barrier { arrivals.hasBarrier = true }
    }

    /// Decides whether anything still may wait for neighbours.
    private mutating func holdBack(_ slot: UInt32, _ kind: RequestKind) {
        let request = requests[Int(slot)]
        let distance = request.offset &- arrivals.runEnd
        if distance >= 0, distance <= Int64(limits.gap), arrivals.runParts > 0 {
            arrivals.runBytes &+= request.length
            arrivals.runParts &+= 1
        } else {
            arrivals.runBytes = request.length
            arrivals.runParts = 1
        }
        arrivals.runEnd = request.end
        if kind != .joinable || arrivals.runBytes >= limits.bytes
            || arrivals.runParts >= limits.parts || occupied == depth
        {
            arrivals.runParts = 0
            makeDue()
        } else if dueTime == nil {
            startsWaiting = true
        }
    }

    /// Makes everything due: ``next()`` returns it all.
    public mutating func makeDue() {
        dueEnd = end
        dueTime = nil
        startsWaiting = false
    }

    /// Everything is due because the time to wait is over.
    @usableFromInline
    mutating func stopWaiting() {
        statistics.waits &+= 1
        makeDue()
    }

    /// Says what time it is, after something began to wait.
    public mutating func wait(from now: IOInstant) {
        guard startsWaiting else { return }
        startsWaiting = false
        let (time, overflowed) = now.nanoseconds.addingReportingOverflow(limits.waitNanoseconds)
        dueTime = IOInstant(nanoseconds: overflowed ? .max : time)
    }

    private mutating func moveOrder() {
        order.move(first..<end, to: 0)
        planned -= first
        dueEnd -= min(dueEnd, first)
        end -= first
        first = 0
    }
}
