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
        if shared.isForked || events.isEmpty { return IOTickets([]) }
        var count = min(events.count, shared.queue.capacity)
        while count > 0 {
            switch shared.queue.claim(count) {
            case .position(let position):
                shared.fill(position, count, from: &events, limits)
                shared.wake()
                return IOTickets(queued: position..<position + count)
            case .closed: return IOTickets([])
            case .full: count = min(count - 1, shared.queue.claimable(count))
            }
        }
        return IOTickets([])
    }

    /// Hands over all events, and waits for places. What could not be taken, because of a shutdown or on
    /// a thread of the engine's that must not wait, stays in `events`.
    public func submit(
        contentsOf events: inout UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) {
        while !events.isEmpty {
            let taken = trySubmit(contentsOf: &events, limits).count
            if taken == 0, shared.isClosed || !shared.waitForPlaces(1) { return }
        }
    }

    /// The same on the loop's own thread.
    private func submitOnLoop(
        contentsOf events: inout UniqueArray<IOEvent<Callback>>, _ limits: IOLimits
    ) -> IOTickets {
        var tickets: [IOTicket] = []
        events.reverse()
        while let event = events.popLast() {
            switch submitOnLoop(event, limits) {
            case .accepted(let ticket): tickets.append(ticket)
            case .full(let back):
                events.append(back)
                events.reverse()
                return IOTickets(tickets)
            case .closed(let back):
                events.append(back)
                events.reverse()
                return IOTickets(tickets)
            }
        }
        return IOTickets(tickets)
    }
}

// MARK: Chains

extension IOContext where Callback: ~Copyable, Driver: ~Copyable {
    /// Hands a chain over: each event begins only after the one before it has succeeded, and is cancelled
    /// (ECANCELED) if that failed. All or none is taken; waits for places as ``submit(_:_:)`` does. The
    /// limits are each event's.
    ///
    /// A bad member is refused when its turn comes. If slots of events that were given up and have not
    /// settled leave too few for the chain when it reaches the loop, its first event ends with EAGAIN.
    public func submit(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) -> IOChainSubmission<Callback> {
        let count = chain.count
        while true {
            switch trySubmit(chain: chain, limits) {
            case .full(let back):
                if !shared.waitForPlaces(count) { return .full(back) }
                chain = back
            case .accepted(let tickets): return .accepted(tickets)
            case .closed(let back): return .closed(back)
            case .tooLong(let back, let limit): return .tooLong(back, limit: limit)
            }
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

    /// Fills claimed places with the first events of an array.
    @usableFromInline
    func fill(
        _ position: Int, _ count: Int, from events: inout UniqueArray<IOEvent<Callback>>,
        _ limits: IOLimits
    ) {
        // Taking from the end moves nothing.
        events.reverse()
        for i in 0..<count {
            queue.fill(position + i, QueuedEvent(events.removeLast(), limits))
        }
        events.reverse()
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
    fileprivate mutating func reverse() {
        var low = 0
        var high = count - 1
        while low < high {
            swapAt(low, high)
            low += 1
            high -= 1
        }
    }
}
