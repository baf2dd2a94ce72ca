public import BasicContainers
public import DequeModule
public import Synchronization

extension ContextLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Takes an event on the loop's own thread: from a callback or a job.
    @inlinable
    mutating func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        if isEnding || shared.isForked { return .closed(event) }
        if hasBacklog { admit() }
        if hasBacklog {
            guard hasRight else { return .full(event) }
            hasRight = false
            return .accepted(park(event, limits))
        }
        if event.action.isSync, shared.queue.end != shared.queue.head {
            // It goes behind everything whose submission has returned, also if a producer that claimed
            // an earlier place is still filling it.
            return .accepted(park(event, limits))
        }
        if hasRoom(1), unsafe core.pointee.hasBytesIfBounded(for: event) {
            let ticket = unsafe core.pointee.accept(event)
            if !limits.isNone { unsafe core.pointee.limit(ticket.slot, limits) }
            return .accepted(ticket)
        }
        guard hasRight else { return .full(event) }
        hasRight = false
        return .accepted(park(event, limits))
    }

    /// Takes a whole chain on the loop's own thread, or nothing.
    @usableFromInline
    mutating func submit(
        chain: consuming UniqueArray<IOEvent<Callback>>
    ) -> IOChainSubmission<Callback> {
        if isEnding || shared.isForked { return .closed(chain) }
        if unsafe chain.count > core.pointee.depth {
            return unsafe .tooLong(chain, limit: core.pointee.depth)
        }
        if hasBacklog { admit() }
        guard !hasBacklog, shared.queue.end == shared.queue.head, hasRoom(chain.count) else {
            return .full(chain)
        }
        return unsafe core.pointee.submit(chain: chain)
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

    /// Gives the first parked event a slot. False: there is none.
    @inlinable
    mutating func admitParked() -> Bool {
        guard hasRoom(1), unsafe core.pointee.hasBytesIfBounded(for: parked[0].queued.event)
        else {
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
            unsafe core.pointee.hasBytesIfBounded(for: shared.queue.first.pointee.event)
        else {
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

    /// Accepts one event of the backlog into a slot.
    @inlinable
    mutating func accept(_ queued: consuming QueuedEvent<Callback>, _ ticket: UInt64) {
        let limits = queued.limits
        let slot = unsafe core.pointee.accept(queued.event).slot
        unsafe core.pointee.tickets?[Int(slot)] = ticket
        if !limits.isNone { unsafe core.pointee.limit(slot, limits) }
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
            let slot = unsafe core.pointee.accept(queued.event, after: previous)
            unsafe core.pointee.tickets?[Int(slot)] = raw
            if !limits.isNone { unsafe core.pointee.limit(slot, limits) }
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

    /// Calls an event back that never got a slot.
    @usableFromInline
    static func refuse(
        _ me: UnsafeMutablePointer<Self>, _ queued: consuming QueuedEvent<Callback>,
        _ reason: StopReason
    ) {
        let core = unsafe me.pointee.core
        var event = queued.event
        event.failure =
            reason == .deadline
            ? IOFailure(errno: Errnos.timedOut, reason: .deadlinePassed) : .cancelled
        event.status.insert(.done)
        unsafe core.pointee.statistics.submitted &+= 1
        unsafe core.pointee.statistics.completed &+= 1
        unsafe core.pointee.statistics.failed &+= 1
        unsafe core.pointee.statistics.stopped &+= 1
        if reason == .deadline { unsafe core.pointee.statistics.deadlinesPassed &+= 1 }
        let hasDeliveryRoom =
            unsafe me.pointee.handedEven &+ me.pointee.handedOdd
            &- me.pointee.shared.returned(0) &- me.pointee.shared.returned(1)
            < me.pointee.deliveryRoom
        if unsafe me.pointee.workers != nil && hasDeliveryRoom {
            return unsafe me.pointee.deliver(event, counts: false)
        }
        let submitter = unsafe IOSubmitter<Callback>(target: UnsafeMutableRawPointer(me)) {
            target, event, limits in
            unsafe target.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self).pointee
                .submit(event, limits)
        }
        unsafe me.pointee.hasRight = true
        event.complete(submitter)
        unsafe me.pointee.hasRight = false
    }

    /// Stops one event of the backlog, wherever it lies. A member of a chain stays with it, marked. False:
    /// it is not there.
    @usableFromInline
    static func stopInBacklog(
        _ me: UnsafeMutablePointer<Self>, _ ticket: IOTicket, _ reason: StopReason
    ) -> Bool {
        let shared = unsafe me.pointee.shared
        if let position = ticket.queuePosition {
            guard let element = unsafe shared.queue.element(at: position) else { return false }
            if unsafe element.pointee.isChained {
                unsafe element.pointee.stop = reason
                return true
            }
            guard let queued = shared.queue.remove(at: position) else { return false }
            unsafe refuse(me, queued, reason)
            return true
        }
        unsafe me.pointee.takeReturns()
        let count = unsafe me.pointee.parked.count
        for i in 0..<count
        where unsafe IOTicket(parked: me.pointee.parked[i].sequence) == ticket {
            let removed = unsafe me.pointee.parked.remove(at: i)
            unsafe refuse(me, removed.queued, reason)
            return true
        }
        return false
    }

    /// Stops what `matches` in the backlog. Returns how many there were.
    @usableFromInline
    static func stopInBacklog(
        _ me: UnsafeMutablePointer<Self>, _ reason: StopReason,
        where matches: (borrowing QueuedEvent<Callback>) -> Bool
    ) -> Int {
        let shared = unsafe me.pointee.shared
        var count = 0
        let end = shared.queue.end
        var position = shared.queue.head
        while position < end {
            if let element = unsafe shared.queue.element(at: position),
                unsafe matches(element.pointee)
            {
                count += 1
                _ = unsafe stopInBacklog(me, IOTicket(queued: position), reason)
            }
            position += 1
        }
        unsafe me.pointee.takeReturns()
        // Callbacks may park more, behind these.
        var left = unsafe me.pointee.parked.count
        var index = 0
        while left > 0 {
            left -= 1
            if unsafe matches(me.pointee.parked[index].queued) {
                count += 1
                let removed = unsafe me.pointee.parked.remove(at: index)
                unsafe refuse(me, removed.queued, reason)
            } else {
                index += 1
            }
        }
        return count
    }
}
