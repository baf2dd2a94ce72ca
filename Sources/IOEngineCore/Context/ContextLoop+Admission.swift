public import BasicContainers
public import DequeModule
public import Synchronization

extension ContextLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Takes an event on the loop's own thread: from a callback or a job.
    @inlinable @inline(__always)
    mutating func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        if isClosed { return .closed(event) }
        // It goes behind what workers submitted when the queue was full.
        if workers != nil, event.action.isSync { takeReturns() }
        if hasBacklog {
            admit()
            if hasBacklog {
                guard hasRight else { return .full(event) }
                hasRight = false
                return .accepted(park(event, limits))
            }
        }
        if event.action.isSync, shared.queue.end != shared.queue.head {
            // It goes behind everything whose submission has returned, also if a producer that claimed
            // an earlier place is still filling it.
            return .accepted(park(event, limits))
        }
        if hasRoom(1), unsafe core.pointee.hasBytesIfBounded(for: event) {
            return .accepted(unsafe core.pointee.accept(event, limits))
        }
        guard hasRight else { return .full(event) }
        hasRight = false
        return .accepted(park(event, limits))
    }

    /// Takes a whole chain on the loop's own thread, or nothing.
    @usableFromInline
    mutating func submit(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits
    ) -> IOChainSubmission<Callback> {
        if isClosed { return .closed(chain) }
        if unsafe chain.count > core.pointee.usableSlots {
            return unsafe .tooLong(chain, limit: core.pointee.usableSlots)
        }
        if workers != nil { takeReturns() }
        if hasBacklog { admit() }
        guard !hasBacklog, shared.queue.end == shared.queue.head, hasRoom(chain.count) else {
            return .full(chain)
        }
        return unsafe core.pointee.submit(chain: chain, limits)
    }

    /// Whether anything that was accepted before has no slot yet.
    @inlinable @inline(__always)
    var hasBacklog: Bool { !parked.isEmpty || shared.queue.isReady() }

    /// Whether that many slots are free and belong to no callback on a worker.
    @inlinable @inline(__always)
    func hasRoom(_ count: Int) -> Bool {
        unsafe core.pointee.freeCount &- atWorkers >= count
    }

    /// Puts an event behind all that was accepted before it.
    @inlinable
    mutating func park(_ event: consuming IOEvent<Callback>, _ limits: IOLimits) -> IOTicket {
        takeReturns()
        let sequence = shared.parkedSequence.add(1, ordering: .relaxed).newValue
        if limits.deadlineNanoseconds < backlogDeadline {
            backlogDeadline = limits.deadlineNanoseconds
        }
        parked.append(
            ParkedEvent(
                QueuedEvent(event, limits), fence: shared.queue.end, sequence: sequence))
        return IOTicket(parked: sequence)
    }

    /// Fetches what workers submitted when the queue was full.
    @inlinable
    mutating func takeReturns() {
        var taken = UniqueArray<ParkedEvent<Callback>>()
        shared.returns.withLock { returns in
            if !returns.isEmpty { swap(&returns, &taken) }
        }
        if taken.isEmpty { return }
        // From the end, which moves nothing, then in front of the others in turn: reversed twice.
        var reversed = UniqueArray<ParkedEvent<Callback>>()
        while let event = taken.popLast() { reversed.append(event) }
        while let event = reversed.popLast() {
            if event.queued.limits.deadlineNanoseconds < backlogDeadline {
                backlogDeadline = event.queued.limits.deadlineNanoseconds
            }
            parked.append(event)
        }
    }

    // MARK: Admitting

    /// Moves the backlog into free slots, oldest first.
    @inlinable
    mutating func admit() {
        isOutOfRoom = false
        if isDriverDead { return stopBacklog() }
        if workers != nil { slotsSeen = shared.slotsReturned.load(ordering: .acquiring) }
        while true {
            let isReady = shared.queue.isReady()
            if isReady, returnsTakenFor != shared.queue.head,
                unsafe shared.queue.first.pointee.event.action.isSync
                    || shared.queue.first.pointee.isChained
            {
                // What workers submitted before it may not be parked yet.
                returnsTakenFor = shared.queue.head
                takeReturns()
            }
            if !parked.isEmpty, !isReady || parked[0].fence <= shared.queue.head {
                // A sync behind a place that a producer is still filling waits; the producer wakes us.
                if parked[0].queued.event.action.isSync, parked[0].fence > shared.queue.head {
                    break
                }
                if !admitParked() { break }
            } else {
                if !isReady || !admitQueued() { break }
            }
        }
        if shared.producers.waiting.load(ordering: .relaxed) > 0 { letProducersIn() }
    }

    /// Nothing begins on a dead driver.
    @usableFromInline
    mutating func stopBacklog() { _ = stopInBacklog(.cancelled) { _ in true } }

    /// Gives the first parked event a slot. False: there is none.
    @inlinable
    mutating func admitParked() -> Bool {
        guard hasRoom(1), unsafe core.pointee.hasBytesIfBounded(for: parked[0].queued.event)
        else {
            if unsafe core.pointee.usableSlots == 0 {
                let stuck = parked.removeFirst()
                refuse(stuck.queued, slotsAbandoned, isStopped: false)
                return true
            }
            isOutOfRoom = true
            return false
        }
        let next = parked.removeFirst()
        let raw = IOTicket(parked: next.sequence).rawValue
        accept(next.queued, raw)
        return true
    }

    /// Gives the head of the queue, with the rest of its chain, slots. False: there are not enough.
    @inlinable
    mutating func admitQueued() -> Bool {
        let count = unsafe Int(shared.queue.first.pointee.followers) &+ 1
        guard hasRoom(count),
            unsafe core.pointee.hasBytesIfBounded(for: shared.queue.first.pointee.event),
            unsafe count == 1 || core.pointee.maximumBytes == .max || hasBytesForChain(count)
        else {
            if unsafe count > core.pointee.usableSlots {
                refuseStuck(count)
                return true
            }
            isOutOfRoom = true
            return false
        }
        if count > 1 {
            admitChain(count)
            return true
        }
        let raw = IOTicket(queued: shared.queue.head).rawValue
        accept(shared.queue.pop(), raw)
        return true
    }

    /// Ends the head of the queue, with the rest of its chain, because slots of abandoned events
    /// are in its way. These may never come free, and nothing that came later overtakes the head:
    /// it would hold up everybody.
    @usableFromInline
    mutating func refuseStuck(_ count: Int) {
        for index in 0..<count {
            let queued = shared.queue.pop()
            let isMarked = queued.stop != .none
            let failure =
                isMarked
                ? Self.failure(queued.stop)
                : index == 0
                    ? slotsAbandoned
                    : IOFailure(errno: Errnos.canceled, reason: .chainBroken)
            refuse(queued, failure, isStopped: isMarked)
        }
    }

    /// Past the deadline of a shutdown, what has no slot is cancelled in any case.
    @usableFromInline var slotsAbandoned: IOFailure {
        endStage == .finishing
            ? IOFailure(errno: Errnos.again, reason: .slotsAbandoned) : .cancelled
    }

    /// Whether a chain at the head of the queue fits below the bound on bytes together, or is alone
    /// among the living.
    @usableFromInline
    func hasBytesForChain(_ count: Int) -> Bool {
        if unsafe core.pointee.bytesInFlight == core.pointee.abandonedBytes { return true }
        var left = unsafe core.pointee.maximumBytes - core.pointee.bytesInFlight
        for position in shared.queue.head..<shared.queue.head + count {
            let bytes = unsafe shared.queue.element(at: position)?.pointee.event.bytesToMove ?? 0
            // Lengths that make no sense are refused later, one by one: their sum may not exist.
            if bytes > left { return false }
            left -= bytes
        }
        return true
    }

    /// Accepts one event of the backlog into a slot.
    @inlinable
    mutating func accept(_ queued: consuming QueuedEvent<Callback>, _ ticket: UInt64) {
        let limits = queued.limits
        let slot = unsafe core.pointee.accept(queued.event, limits).slot
        unsafe core.pointee.setTicket(slot, ticket)
    }

    /// Accepts a chain of the queue; there is room for all of it. Its first event was filled last, so all of
    /// it is there.
    @usableFromInline
    mutating func admitChain(_ count: Int) {
        var previous: UInt32?
        for _ in 0..<count {
            let raw = IOTicket(queued: shared.queue.head).rawValue
            let queued = shared.queue.pop()
            let limits = queued.limits
            let stop = queued.stop
            let slot = unsafe core.pointee.accept(queued.event, limits, after: previous)
            unsafe core.pointee.setTicket(slot, raw)
            if stop != .none { _ = unsafe core.pointee.stop(slot, stop) }
            previous = slot
        }
    }

    /// Wakes producers that wait for places, once there are enough to be worth it.
    @usableFromInline
    mutating func letProducersIn() {
        let queued = shared.queue.end - shared.queue.head
        if queued <= shared.queue.capacity * 3 / 4 { shared.producers.wakeAll() }
    }

    // MARK: Without a slot

    /// Ends an event that never got a slot. It is called back with the next round of callbacks, not from
    /// here: whoever stops events may be a callback itself.
    @usableFromInline
    mutating func refuse(
        _ queued: consuming QueuedEvent<Callback>, _ failure: IOFailure, isStopped: Bool = true
    ) {
        var event = queued.event
        event.clearOutcome()
        event.failure = failure
        event.status.insert(.done)
        unsafe core.pointee.statistics.submitted &+= 1
        unsafe core.pointee.statistics.failed &+= 1
        if isStopped { unsafe core.pointee.statistics.stopped &+= 1 }
        if failure.reason == .deadlinePassed {
            unsafe core.pointee.statistics.deadlinesPassed &+= 1
        }
        refused.append(event)
    }

    private static func failure(_ reason: StopReason) -> IOFailure {
        reason == .deadline
            ? IOFailure(errno: Errnos.timedOut, reason: .deadlinePassed) : .cancelled
    }

    /// Stops one event of the backlog, wherever it lies. False: it is not there.
    @usableFromInline
    mutating func stopInBacklog(_ ticket: IOTicket, _ reason: StopReason) -> Bool {
        if let position = ticket.queuePosition { return stopQueued(at: position, reason) }
        takeReturns()
        for i in 0..<parked.count where IOTicket(parked: parked[i].sequence) == ticket {
            let removed = parked.remove(at: i)
            refuse(removed.queued, Self.failure(reason))
            return true
        }
        return false
    }

    /// Stops what `matches` in the backlog. Returns how many there were.
    @usableFromInline
    mutating func stopInBacklog(
        _ reason: StopReason, where matches: (borrowing QueuedEvent<Callback>) -> Bool
    ) -> Int {
        var count = 0
        let end = shared.queue.end
        var position = shared.queue.head
        while position < end {
            if let element = unsafe shared.queue.element(at: position),
                unsafe matches(element.pointee), stopQueued(at: position, reason)
            {
                count += 1
            }
            position += 1
        }
        takeReturns()
        var index = 0
        while index < parked.count {
            if matches(parked[index].queued) {
                count += 1
                let removed = parked.remove(at: index)
                refuse(removed.queued, Self.failure(reason))
            } else {
                index += 1
            }
        }
        return count
    }

    /// Stops what lies in the queue. With the first event of a chain all of it ends; a later one is only
    /// marked and ends when the chain gets to it.
    private mutating func stopQueued(at position: Int, _ reason: StopReason) -> Bool {
        guard let element = unsafe shared.queue.element(at: position),
            unsafe element.pointee.stop == .none
        else { return false }
        if unsafe element.pointee.isFollower {
            unsafe element.pointee.stop = reason
            return true
        }
        let followers = unsafe Int(element.pointee.followers)
        guard let first = shared.queue.remove(at: position) else { return false }
        refuse(first, Self.failure(reason))
        for next in position + 1..<position + 1 + followers {
            // Filled before the first, so it is there.
            guard let follower = shared.queue.remove(at: next) else { continue }
            let isMarked = follower.stop != .none
            let failure =
                isMarked
                ? Self.failure(follower.stop)
                : IOFailure(errno: Errnos.canceled, reason: .chainBroken)
            refuse(follower, failure)
        }
        return true
    }
}
