public import IOEngineCore

extension MergingDriver where Base: ~Copyable {
    @inlinable @inline(__always)
    public mutating func stage(_ request: IORequest) -> IOStaging {
        let staging = buffer.add(request)
        if buffer.startsWaiting { buffer.wait(from: base.now()) }
        return staging
    }

    @inlinable
    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        if buffer.staged > 0 {
            if let due = buffer.dueTime, due <= base.now() { buffer.stopWaiting() }
            handDown()
        }
        if buffer.isTransparent {
            refusals = 0
            return base.submit(minimum: minimum, deadline: deadline)
        }
        return wait(minimum: minimum, deadline: deadline)
    }

    /// Stages with the base what is due, until it is full.
    @inlinable @inline(__always)
    mutating func handDown() {
        while true {
            guard buffer.preparePlain() else {
                guard let request = buffer.next() else { return }
                guard base.stage(request) == .queued else {
                    buffer.putBack()
                    return
                }
                buffer.handedDown()
                inBase &+= 1
                continue
            }
            // Nothing touches: straight through.
            var place = buffer.first
            while place < buffer.planned {
                let slot = Int(buffer.order[place])
                guard base.stage(buffer.requests[slot]) == .queued else { break }
                buffer.states[slot] = .lone
                place &+= 1
            }
            let isFull = place < buffer.planned
            inBase &+= place &- buffer.first
            buffer.passed(place &- buffer.first)
            if isFull { return }
        }
    }

    /// Waits while requests are joined, held back, left over or to be repeated.
    @inlinable @inline(never)
    mutating func wait(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        makeRoom()
        while true {
            let wanted = minimum &- buffer.finishedCount
            if wanted <= 0 { return base.submit(minimum: 0, deadline: deadline) }
            let due = buffer.dueTime
            let isOwnTimer = due.map { due in deadline.map { due < $0 } ?? true } ?? false
            let outcome = base.submit(
                minimum: goal(wanted), deadline: isOwnTimer ? due : deadline)
            let repeated = buffer.repeatsCount
            pull()
            switch outcome {
            case .failed, .woken:
                return outcome
            case .deadlinePassed where isOwnTimer:
                buffer.stopWaiting()
                handDown()
            case .deadlinePassed:
                return outcome
            case .ready:
                // Parts that must be done again are no completions yet. Each is repeated once, so
                // this comes to an end.
                if buffer.finishedCount > 0 || buffer.repeatsCount == repeated { return .ready }
                handDown()
            }
        }
    }

    /// How many of the base's completions bring `wanted` ones, supposing that they are alike: never
    /// more than there are. With nothing in flight, the one that never comes: a deadline or a wake-up
    /// ends it.
    @inlinable
    func goal(_ wanted: Int) -> Int {
        if inBase <= 0 {
            // A base that refuses what it has room for is asked again instead of waited for.
            return buffer.isHoldingBack || buffer.staged == 0 ? 1 : 0
        }
        let parts = inBase &+ buffer.surplusInFlight
        return max(1, min(wanted, parts) &* inBase / parts)
    }

    /// The base was full: lets it take what it has, then tries once more.
    ///
    /// A base that has nothing in flight and still takes nothing breaks its contract; after a hundred
    /// attempts the oldest request ends with EAGAIN, so that nobody waits for ever.
    @inlinable
    mutating func makeRoom() {
        guard buffer.hasDue else { return }
        _ = base.submit(minimum: 0, deadline: nil)
        pull()
        handDown()
        guard buffer.hasDue, inBase <= 0 else {
            refusals = 0
            return
        }
        refusals &+= 1
        if refusals >= 100 { buffer.refuseFirst() }
    }

    /// Takes completions of the base while some of them may belong to joined requests.
    @inlinable
    mutating func pull() {
        while buffer.joinedInFlight > 0, buffer.hasRoomForCompletions {
            var span = unsafe OutputSpan(buffer: completions.values, initializedCount: 0)
            base.reap(into: &span)
            let count = unsafe span.finalize(for: completions.values)
            inBase &-= count
            for i in 0..<count { buffer.complete(completions[i]) }
            if count < completions.count { return }
        }
    }

    @inlinable
    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        if buffer.joinedInFlight > 0 { pull() }
        if buffer.finishedCount > 0 { buffer.takeFinished(into: &completions) }
        guard buffer.joinedInFlight == 0, !completions.isFull else { return }
        // What is in flight passed unchanged, and so does its completion.
        let before = completions.count
        base.reap(into: &completions)
        inBase &-= completions.count &- before
        buffer.vacate(completions.count &- before)
    }

    @discardableResult
    @inlinable
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        buffer.cancel(token) ?? base.cancel(token)
    }

    @inlinable
    public mutating func hasten() {
        if buffer.isHoldingBack { buffer.makeDue() }
        handDown()
        base.hasten()
    }
}
