public import BasicContainers

extension IOContext where Callback: ~Copyable, Driver: ~Copyable {
    /// Hands an event over, and waits for a place in the queue if there is none.
    ///
    /// Never waits on a thread of the engine's (a loop's or a worker's): there `full` may come back.
    /// Costs about 100 ns, on the loop's own thread 20, and a system call where the loop sleeps.
    ///
    /// - Returns: `accepted` with a ticket, `closed` with the event after a shutdown and in a forked child.
    ///   Everything else that may be wrong with the event arrives through its callback.
    @inlinable
    public func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits = .none
    ) -> IOSubmission<Callback> {
        if shared.isOnLoop { return submitOnLoop(event, limits) }
        if shared.isForked { return .closed(event) }
        while true {
            switch shared.queue.claim(1) {
            case .position(let position):
                shared.queue.fill(position, QueuedEvent(event, limits))
                shared.wake()
                return .accepted(IOTicket(queued: position))
            case .closed: return .closed(event)
            case .full:
                if !shared.waitForPlaces(1) { return .full(event) }
            }
        }
    }

    /// Hands an event over if there is a place in the queue.
    ///
    /// - Returns: As ``submit(_:_:)``, or `full` with the event.
    @inlinable
    public func trySubmit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits = .none
    ) -> IOSubmission<Callback> {
        if shared.isOnLoop { return submitOnLoop(event, limits) }
        if shared.isForked { return .closed(event) }
        switch shared.queue.claim(1) {
        case .position(let position):
            shared.queue.fill(position, QueuedEvent(event, limits))
            shared.wake()
            return .accepted(IOTicket(queued: position))
        case .closed: return .closed(event)
        case .full: return .full(event)
        }
    }

    /// Straight into the loop, from its own thread.
    @inlinable
    func submitOnLoop(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        // The loop's thread is this one, so the loop is there and nobody else touches it.
        guard let side = unsafe shared.loopSide else { return .closed(event) }
        return unsafe side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self).pointee
            .submit(event, limits)
    }

    /// Hands over as many events as there are places for, from the front, with one wake-up at most. What
    /// was not taken stays in `events`.
    ///
    /// - Returns: The tickets of what was taken, in order; none after a shutdown.
    public func trySubmit(
        contentsOf events: inout UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) -> IOTickets {
        if shared.isOnLoop { return submitOnLoop(contentsOf: &events, limits) }
        let places = shared.give(&events, from: 0, limits)
        events.removeSubrange(0..<places.count)
        return IOTickets(queued: places)
    }

    /// Hands over all events, and waits for places. What could not be taken, because of a shutdown or on
    /// a thread of the engine's that must not wait, stays in `events`: submit it again, or end each with
    /// ``IOEvent/completeCancelled()``.
    public func submit(
        contentsOf events: inout UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) {
        if shared.isOnLoop {
            _ = submitOnLoop(contentsOf: &events, limits)
            return
        }
        var taken = 0
        while taken < events.count {
            let places = shared.give(&events, from: taken, limits)
            taken += places.count
            if places.isEmpty, shared.isClosed || !shared.waitForPlaces(1) { break }
        }
        // Once, because it moves what is left.
        events.removeSubrange(0..<taken)
    }

    /// Straight into the loop, as many as it takes.
    private func submitOnLoop(
        contentsOf events: inout UniqueArray<IOEvent<Callback>>, _ limits: IOLimits
    ) -> IOTickets {
        var tickets: [IOTicket] = []
        while tickets.count < events.count {
            switch submitOnLoop(events.takeOut(tickets.count), limits) {
            case .accepted(let ticket):
                tickets.append(ticket)
                continue
            case .full(let back): events[tickets.count] = back
            case .closed(let back): events[tickets.count] = back
            }
            break
        }
        events.removeSubrange(0..<tickets.count)
        return IOTickets(tickets)
    }
}

// MARK: Chains

extension IOContext where Callback: ~Copyable, Driver: ~Copyable {
    /// Hands a chain over: each event begins only after the one before it has succeeded, and is cancelled
    /// (ECANCELED) if that failed. All or none is taken; waits for places as ``submit(_:_:)`` does, and while
    /// it waits nobody else gets places before it. The limits are each event's.
    ///
    /// A bad member is refused when its turn comes. If slots of events that were given up and have not
    /// settled leave too few for the chain when it reaches the loop, its first event ends with EAGAIN.
    public func submit(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) -> IOChainSubmission<Callback> {
        switch trySubmit(chain: chain, limits) {
        case .full(let back):
            if EngineThread.isCurrentOurs { return .full(back) }
            return shared.submitInTurn(back, limits)
        case .accepted(let tickets): return .accepted(tickets)
        case .closed(let back): return .closed(back)
        case .tooLong(let back, let limit): return .tooLong(back, limit: limit)
        }
    }

    /// Hands a chain over if there are places for all of it.
    public func trySubmit(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) -> IOChainSubmission<Callback> {
        if shared.isOnLoop, let side = unsafe shared.loopSide {
            return unsafe side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self).pointee
                .submit(chain: chain, limits)
        }
        if shared.isForked { return .closed(chain) }
        let count = chain.count
        let limit = min(depth, shared.queue.capacity)
        if count > limit { return .tooLong(chain, limit: limit) }
        if count == 0 { return .accepted(IOTickets([])) }
        switch shared.queue.claim(count) {
        case .position(let position):
            shared.fill(position, chain: &chain, limits)
            shared.wake()
            return .accepted(IOTickets(queued: position..<position + count))
        case .closed: return .closed(chain)
        case .full: return .full(chain)
        }
    }
}

extension ContextShared where Callback: ~Copyable {
    @usableFromInline var isClosed: Bool { queue.isClosed || isForked }

    /// Waits until that many places are free, or the queue is closed. False: this thread is the engine's
    /// and must not wait.
    @usableFromInline
    func waitForPlaces(_ count: Int) -> Bool {
        if EngineThread.isCurrentOurs { return false }
        return producers.wait { queue.canClaim(count) }
    }

    /// Hands a chain over when there are places for all of it. Chains wait one after the other; places that
    /// come free meanwhile are theirs.
    func submitInTurn(
        _ chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits
    ) -> IOChainSubmission<Callback> {
        let count = chain.count
        while !queue.reserve() {
            if isClosed { return .closed(chain) }
            _ = producers.wait { queue.canReserve }
        }
        while true {
            _ = producers.wait { queue.canClaimReserved(count) }
            switch queue.claimReserved(count) {
            case .full: continue
            case .closed: return .closed(chain)
            case .position(let position):
                fill(position, chain: &chain, limits)
                wake()
                // Those to whom the queue was full.
                producers.notify()
                return .accepted(IOTickets(queued: position..<position + count))
            }
        }
    }

    /// Hands over events of an array from an index on, as many as there are places for, and leaves others in
    /// their places that may be dropped.
    ///
    /// - Returns: The positions that they got; none where nothing can be claimed.
    func give(
        _ events: inout UniqueArray<IOEvent<Callback>>, from first: Int, _ limits: IOLimits
    ) -> Range<Int> {
        if isForked { return 0..<0 }
        var count = min(events.count - first, queue.capacity)
        while count > 0 {
            switch queue.claim(count) {
            case .position(let position):
                // At once: what is claimed and not filled holds up everything behind it.
                for i in 0..<count {
                    queue.fill(position + i, QueuedEvent(events.takeOut(first + i), limits))
                }
                wake()
                return position..<position + count
            case .closed: return 0..<0
            case .full: count = min(count - 1, queue.claimable(count))
            }
        }
        return 0..<0
    }

    /// Fills claimed places with a chain, its first event last: who sees that one sees all.
    @usableFromInline
    func fill(
        _ position: Int, chain: inout UniqueArray<IOEvent<Callback>>, _ limits: IOLimits
    ) {
        let count = chain.count
        for i in (0..<count).reversed() {
            queue.fill(
                position + i,
                QueuedEvent(
                    chain.removeLast(), limits, followers: UInt32(count - 1 - i),
                    isFollower: i > 0))
        }
    }
}

extension UniqueArray where Element: ~Copyable {
    /// Takes an event out of its place, which an empty one takes: removing it would move all behind it.
    fileprivate mutating func takeOut<Callback: IOCallback & ~Copyable>(
        _ index: Int
    ) -> IOEvent<Callback> where Element == IOEvent<Callback> {
        var event = IOEvent<Callback>.noOperation()
        swap(&event, &self[index])
        return event
    }
}
