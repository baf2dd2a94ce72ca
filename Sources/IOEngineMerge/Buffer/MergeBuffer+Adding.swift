public import IOEngineCore

extension MergeBuffer {
    /// Takes a request in.
    ///
    /// - Returns: `full` when as many as the depth are staged.
    public mutating func add(_ request: IORequest) -> IOStaging {
        let slot = request.token.slot
        precondition(Int(slot) < depth, "a token's slot is below the depth")
        guard end &- first < depth else { return .full }
        if end == order.count { moveOrder() }
        let kind = RequestKind(request, limits)
        if kind == .joinable { note(request, slot) } else { noteOther(kind) }
        requests[Int(slot)] = request
        states[Int(slot)] = .staged
        kinds[Int(slot)] = kind
        order[end] = slot
        end &+= 1
        statistics.requestsIn &+= 1
        if limits.waitNanoseconds > 0 { holdBack(kind) }
        return .queued
    }

    /// What a request that may be joined means for planning.
    @inline(__always)
    private mutating func note(_ request: IORequest, _ slot: UInt32) {
        var continues = false
        if Int(arrivals.last) < depth {
            let previous = requests[Int(arrivals.last)]
            if request.offset >= arrivals.lastEnd, request.matches(previous) {
                continues = request.offset &- arrivals.lastEnd <= Int64(limits.gap)
            } else {
                arrivals.isInOrder = false
            }
        }
        if continues {
            arrivals.mayTouch = limits.parts > 1
            arrivals.runBytes &+= request.length
            arrivals.runParts &+= 1
        } else {
            arrivals.runBytes = request.length
            arrivals.runParts = 1
        }
        if !arrivals.mayTouch, limits.parts > 1 {
            arrivals.mayTouch = neighbours.meets(request, gap: limits.gap)
        }
        arrivals.last = slot
        arrivals.lastEnd = request.end
    }

    private mutating func noteOther(_ kind: RequestKind) {
        arrivals.isInOrder = false
        arrivals.runBytes = 0
        arrivals.runParts = 0
        if kind == .barrier { arrivals.hasBarrier = true }
    }

    /// Decides whether anything still may wait for neighbours.
    private mutating func holdBack(_ kind: RequestKind) {
        if kind != .joinable || arrivals.runBytes >= limits.bytes
            || arrivals.runParts >= limits.parts || end &- first == depth
        {
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
