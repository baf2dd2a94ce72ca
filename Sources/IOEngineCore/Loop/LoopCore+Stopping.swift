internal import BasicContainers
internal import SystemPackage

/// Cancellation, deadlines and what follows when a request does not settle.
extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    // MARK: Asking

    /// Stops the event that a ticket names.
    @usableFromInline
    mutating func cancel(_ ticket: IOTicket) -> IOCancellation {
        guard unsafe !life.pointee.isForked, let number = slot(of: ticket) else { return .unknown }
        return stop(number, .cancelled, mayLeave: true)
    }

    /// Stops every event that a scope includes. Returns how many were in flight.
    @usableFromInline
    mutating func cancelAll(_ scope: EventScope) -> Int {
        var count = 0
        if unsafe life.pointee.isForked { return 0 }
        for number in 0..<UInt32(depth) {
            let slot = unsafe slots.slot(number)
            switch unsafe slot.pointee.machine.state {
            case .vacant, .finished, .abandoned: continue
            case .held, .waiting, .inFlight: break
            }
            guard unsafe scope.includes(slots.event(number).pointee) else { continue }
            count += 1
            _ = stop(number, .cancelled)
        }
        return count
    }

    /// Stops an event, whatever it is doing.
    ///
    /// - Parameter mayLeave: Leave the event alone if the answer is that it is too late.
    @usableFromInline
    mutating func stop(
        _ number: UInt32, _ reason: StopReason, mayLeave: Bool = false
    ) -> IOCancellation {
        let slot = unsafe slots.slot(number)
        switch unsafe slot.pointee.machine.state {
        case .vacant: return .unknown
        case .finished, .abandoned: return .tooLate
        case .held, .waiting:
            noteStop(number, reason)
            let hasBegun = unsafe slots.event(number).pointee.transferred > 0
            if unsafe slot.pointee.machine.state == .held {
                failHeld(number, stopFailure(number))
            } else {
                waiting.remove(number)
                refuse(number, stopFailure(number))
            }
            return hasBegun ? .requested : .cancelled
        case .inFlight:
            if unsafe slot.pointee.machine.traits.contains(.stopping) { return .requested }
            return stopRequest(number, reason, mayLeave)
        }
    }

    /// Stops an event whose request the driver has.
    ///
    /// `tooLate` promises that the event ends as if nobody had asked. Where the driver cannot stop
    /// the request, that holds only if it is for all that is left of the event, and the event is
    /// not to be given up: it is then not marked as stopped, so that it also goes on after a short
    /// transfer. Else the requests after this one are not made, or it is given up, so it was asked
    /// to stop.
    private mutating func stopRequest(
        _ number: UInt32, _ reason: StopReason, _ mayLeave: Bool
    ) -> IOCancellation {
        let slot = unsafe slots.slot(number)
        let token = unsafe IOToken(slot: number, generation: slot.pointee.generation)
        needsHaste = true
        // What is reaped already the driver does not know any more.
        let answer = isReaped(number) ? .unknown : driver.cancel(token)
        switch answer {
        // Unknown: the driver has handed it back, and the completion was not looked at yet.
        case .tooLate, .unknown:
            if mayLeave, isLastRequest(number),
                unsafe policies[Int(number)].abandonAfter == .max
            {
                return .tooLate
            }
        case .cancelled, .requested: break
        }
        noteStop(number, reason)
        unsafe slot.pointee.machine.traits.insert(.stopping)
        armAbandonment(number)
        // The request had not begun, but one of the same event before it may have.
        let hasBegun = unsafe slots.event(number).pointee.transferred > 0
        return answer == .cancelled && !hasBegun ? .cancelled : .requested
    }

    /// Whether the request that the driver has is for all that is left of its event.
    private func isLastRequest(_ number: UInt32) -> Bool {
        let event = unsafe slots.event(number)
        guard unsafe event.pointee.action.isTransfer else { return true }
        let requested = unsafe slots.slot(number).pointee.requested
        return unsafe event.pointee.transferred + requested == event.pointee.length
    }

    private mutating func noteStop(_ number: UInt32, _ reason: StopReason) {
        statistics.stopped += 1
        if reason == .deadline { statistics.deadlinesPassed += 1 }
        unsafe policies[Int(number)].stop = reason
        unsafe slots.event(number).pointee.status.insert(.hasPolicy)
    }

    /// The words for an event that was stopped.
    @usableFromInline
    func stopFailure(_ number: UInt32) -> IOFailure {
        unsafe policies[Int(number)].stop == .deadline
            ? IOFailure(errno: Errnos.timedOut, reason: .deadlinePassed) : .cancelled
    }

    // MARK: Time

    /// Gives an accepted event its limits.
    @usableFromInline
    mutating func limit(_ number: UInt32, _ limits: IOLimits) {
        if limits.isNone { return }
        guard unsafe slots.slot(number).pointee.machine.state != .finished else { return }
        unsafe slots.event(number).pointee.status.insert(.hasPolicy)
        unsafe policies[Int(number)].abandonAfter = limits.abandonNanoseconds
        if limits.deadlineNanoseconds != .max {
            timers.set(number, to: limits.deadlineNanoseconds)
        }
    }

    /// From now on the time runs after which the event is given up, if it is to be.
    private mutating func armAbandonment(_ number: UInt32) {
        let patience = unsafe policies[Int(number)].abandonAfter
        timers.remove(number)
        guard patience != .max else { return }
        let (time, overflowed) = driver.now().nanoseconds.addingReportingOverflow(patience)
        if !overflowed { timers.set(number, to: time) }
    }

    /// Stops what is past its deadline; gives up what did not stop in time.
    @usableFromInline
    mutating func expireTimers() {
        guard timers.count > 0 else { return }
        let now = driver.now().nanoseconds
        while let number = timers.removeFirst(until: now) {
            limitsPassed &+= 1
            let slot = unsafe slots.slot(number)
            if unsafe slot.pointee.machine.state == .inFlight
                && slot.pointee.machine.traits.contains(.stopping)
            {
                // What the driver has finished already need not be given up.
                reapMore()
                if !isReaped(number) { abandon(number) }
            } else {
                _ = stop(number, .deadline)
            }
        }
    }

    /// Whether the completion of a slot's request lies among those not looked at yet.
    private func isReaped(_ number: UInt32) -> Bool {
        var place = completionHead
        while place < completionCount {
            if unsafe completions[place].token.slot == number
                && completions[place].token.generation == slots.slot(number).pointee.generation
            {
                return true
            }
            place += 1
        }
        return false
    }

    // MARK: Giving up

    /// Hands an event over without its memory, which stays with the slot until the request settles.
    @usableFromInline
    mutating func abandon(_ number: UInt32) {
        let slot = unsafe slots.slot(number)
        let stored = unsafe slots.event(number)
        assert(unsafe slot.pointee.machine.state == .inFlight)
        var husk = unsafe IOEvent<Callback>(
            stored.pointee.action, descriptor: stored.pointee.descriptor,
            object: stored.pointee.descriptorObject, buffer: IOBuffer(),
            offset: stored.pointee.offset, rangeStart: stored.pointee.rangeStart,
            length: stored.pointee.length,
            movesWholeBuffer: stored.pointee.movesWholeBuffer,
            callback: stored.pointee.callback.take())
        husk.movedLength = unsafe stored.pointee.transferred
        husk.flags = unsafe stored.pointee.flags
        husk.priority = unsafe stored.pointee.priority
        husk.failure = IOFailure(errno: stopFailure(number).errno, reason: .abandoned)
        husk.status.insert([.done, .abandoned])
        husks.append(husk)
        huskCount += 1
        abandonedCount += 1
        abandonedBytes += unsafe policies[Int(number)].bytes
        unsafe slot.pointee.machine.abandon()
        timers.remove(number)
        statistics.abandoned += 1
        statistics.completed += 1
        statistics.failed += 1
        // Its chain ends here: it did not succeed.
        let next = unsafe policies[Int(number)].chainNext
        if next != 0 {
            let generation = unsafe policies[Int(number)].chainNextGeneration
            unsafe policies[Int(number)].chainNext = 0
            continueChain(next - 1, generation, false)
        }
    }

    /// Gives up everything that the driver still has.
    @usableFromInline
    mutating func abandonInFlight() {
        if unsafe life.pointee.isForked { return }
        // The driver is asked to stop first: it may then let go of what has not begun, and counts what is
        // stuck apart.
        for number in 0..<UInt32(depth)
        where unsafe slots.slot(number).pointee.machine.state == .inFlight {
            _ = stop(number, .cancelled)
        }
        reapMore()
        for number in 0..<UInt32(depth)
        where unsafe slots.slot(number).pointee.machine.state == .inFlight && !isReaped(number) {
            abandon(number)
        }
    }

    @usableFromInline
    mutating func takeHusk() -> IOEvent<Callback> {
        huskCount -= 1
        return husks.removeLast()
    }

    /// A completion that belongs to no event in flight: that of an abandoned one, or a stale one.
    @usableFromInline
    mutating func dismiss(_ completion: IOCompletion) {
        let number = completion.token.slot
        guard number < UInt32(depth),
            unsafe slots.slot(number).pointee.generation == completion.token.generation
                && slots.slot(number).pointee.machine.state == .abandoned
        else {
            statistics.staleCompletions &+= 1
            return
        }
        settleAbandoned(number, completion.result)
    }

    /// The kernel has let go of an abandoned event's memory.
    private mutating func settleAbandoned(_ number: UInt32, _ result: Int) {
        let slot = unsafe slots.slot(number)
        let event = unsafe slots.event(number)
        let moved = unsafe event.pointee.action.isTransfer ? max(0, result) : 0
        let accepted = unsafe slot.pointee.acceptedGeneration
        let ticket = unsafe tickets?[Int(number)] ?? 0
        let settlement = unsafe IOSettlement(
            ticket: ticket == 0
                ? IOTicket(slot: number, generation: accepted) : IOTicket(rawValue: ticket),
            action: event.pointee.action, descriptor: event.pointee.descriptor,
            offset: event.pointee.offset, length: event.pointee.length,
            transferred: event.pointee.transferred + moved,
            errno: result < 0 ? Errno(rawValue: Int32(clamping: 0 - result)) : nil)
        // Nobody may ever take them.
        if settlements.count < depth {
            settlements.append(settlement)
        } else {
            statistics.droppedSettlements += 1
        }
        statistics.settledLate += 1
        if result < 0 {
            // What failed late failed all the same.
            let errno = Int32(clamping: 0 - result)
            let isStopped = unsafe slot.pointee.machine.traits.contains(.stopping)
            unsafe event.pointee.failure =
                isStopped && errno == Errnos.canceled ? .cancelled : .kernel(errno)
            keepLoss(number)
        }
        concludePolicy(number)
        leaveDescriptor(number)
        vacate(number)
    }

    /// Frees the slot of an abandoned event, and what the event still owns.
    ///
    /// That may run the user's code, the deallocator of adopted memory. It cannot reach a loop,
    /// whose user is inside a call to it; but it can reach a context, so what a context reclaims is
    /// kept until nothing of the loop is in the middle of a change.
    mutating func vacate(_ number: UInt32) {
        let slot = unsafe slots.slot(number)
        unsafe slot.pointee.machine.settled()
        unsafe slot.pointee.generation &+= 1
        abandonedCount -= 1
        unsafe free[freeCount] = number
        freeCount += 1
        let event = unsafe slots.event(number).move()
        if unsafe tickets != nil { reclaimed.append(event) }
    }

    /// What was reclaimed since the last time; to be destroyed where the loop is not accessed.
    mutating func takeReclaimed() -> UniqueArray<IOEvent<Callback>> {
        var taken = UniqueArray<IOEvent<Callback>>()
        swap(&taken, &reclaimed)
        return taken
    }
}
