internal import DequeModule
internal import Synchronization
internal import SystemPackage

/// A request that waits until everything accepted before it has reached the loop.
@usableFromInline
struct FencedRequest: Sendable {
    @usableFromInline
    enum Action: Sendable {
        case drain(Reply<Bool>)
        case close(IODescriptor, Reply<Bool>)
    }

    /// Everything below this place in the queue, and parked before this sequence, comes first.
    @usableFromInline let position: Int
    @usableFromInline let sequence: UInt64
    @usableFromInline let action: Action
    /// What had ended without a slot when this came first: so many must have been called back
    /// before.
    @usableFromInline var refusals: Int?
}

/// A drain that waits for what was in flight when it began.
@usableFromInline
struct DrainRequest: Sendable {
    @usableFromInline let reply: Reply<Bool>
    /// Whose callbacks must all have returned.
    @usableFromInline let phase: Int
}

extension ContextLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Does what was asked for by letter, and takes jobs over.
    @usableFromInline
    static func readMail(_ me: UnsafeMutablePointer<Self>) {
        let shared = unsafe me.pointee.shared
        // Before the letters are taken, so that one that comes meanwhile is announced again. Pairs with
        // the store in `announce`, which follows the letter.
        shared.hasMail.store(false, ordering: .relaxed)
        ThreadFence.full()
        let mail = shared.mail.withLock { $0.takeAll() }
        unsafe me.pointee.jobs.append(contentsOf: mail.jobs)
        unsafe me.pointee.takeReturns()
        for ticket in mail.cancelled { _ = unsafe cancel(ticket, me) }
        for letter in mail.letters { unsafe read(letter, me) }
        if let deadline = mail.shutdownDeadline { unsafe me.pointee.beginEnding(deadline) }
        unsafe me.pointee.answerSnapshots()
    }

    private static func read(_ letter: ContextLetter, _ me: UnsafeMutablePointer<Self>) {
        switch letter {
        case .cancel(let ticket, let reply):
            let answer = unsafe cancel(ticket, me)
            reply?.give(answer)
        case .cancelAll(let scope, let reply):
            let count = unsafe cancelAll(scope, me)
            reply?.give(count)
        case .drain(let fence, let reply):
            unsafe me.pointee.fence(fence, .drain(reply))
        case .close(let descriptor, let fence, let reply):
            unsafe me.pointee.fence(fence, .close(descriptor, reply))
        case .forget(let number, let onlySyncError, let reply):
            reply.give(unsafe me.pointee.forget(number, onlySyncError: onlySyncError))
        case .registerPool(let pool, let reply):
            reply.give(unsafe me.pointee.core.pointee.register(pool))
        case .registerDescriptor(let descriptor, let reply):
            reply.give(
                unsafe me.pointee.core.pointee.register(descriptor.rawValue, descriptor))
        case .shutDown: break
        }
    }

    private mutating func fence(_ position: Int, _ action: FencedRequest.Action) {
        fenced.append(
            FencedRequest(
                position: position,
                sequence: shared.parkedSequence.load(ordering: .relaxed), action: action))
    }

    // MARK: Cancelling

    @usableFromInline
    static func cancel(
        _ ticket: IOTicket, _ me: UnsafeMutablePointer<Self>
    ) -> IOCancellation {
        if !ticket.isOfSlot, unsafe me.pointee.stopInBacklog(ticket, .cancelled) {
            return .cancelled
        }
        return unsafe me.pointee.core.pointee.cancel(ticket)
    }

    @usableFromInline
    static func cancelAll(_ scope: EventScope, _ me: UnsafeMutablePointer<Self>) -> Int {
        let inFlight = unsafe me.pointee.core.pointee.cancelAll(scope)
        let waiting = unsafe me.pointee.stopInBacklog(.cancelled) { scope.includes($0.event) }
        return inFlight + waiting
    }

    private mutating func forget(_ number: Int32, onlySyncError: Bool) -> Bool {
        if !onlySyncError {
            return unsafe core.pointee.forget(number)
        }
        loop.clearSyncError(FileDescriptor(rawValue: number))
        return true
    }

    // MARK: Settlement

    /// Frees what requests that had been given up still held, and tells what became of them. Both
    /// run the user's code, so nothing of the loop is accessed meanwhile.
    @usableFromInline
    static func reportSettled(_ me: UnsafeMutablePointer<Self>) {
        _ = unsafe me.pointee.core.pointee.takeReclaimed()
        let settlements = unsafe me.pointee.core.pointee.takeSettlements()
        guard let onSettled = unsafe me.pointee.onSettled else { return }
        for settlement in settlements { onSettled(settlement) }
    }

    // MARK: Attention

    /// Whether there is more to do than moving events.
    @inlinable
    var needsAttention: Bool {
        unsafe isEnding || !fenced.isEmpty || draining != nil || isOutOfRoom
            || backlogDeadline != .max || core.pointee.isGone
    }

    /// Everything that happens seldom. False: all has ended.
    @usableFromInline
    static func attend(_ me: UnsafeMutablePointer<Self>) -> Bool {
        unsafe watchBacklog(me)
        unsafe me.pointee.passFences()
        unsafe me.pointee.finishDrain()
        if unsafe me.pointee.core.pointee.isGone && !me.pointee.isEnding {
            // The driver has said that it will never do anything again.
            unsafe me.pointee.shared.closeIntake()
            unsafe me.pointee.beginEnding(.max)
        }
        return unsafe !me.pointee.isEnding || goOnEnding(me)
    }

    /// Stops what has passed its deadline without having got a slot.
    private static func watchBacklog(_ me: UnsafeMutablePointer<Self>) {
        unsafe me.pointee.scanQueue()
        guard unsafe me.pointee.backlogDeadline != .max else { return }
        let now = unsafe me.pointee.core.pointee.driver.now().nanoseconds
        guard unsafe me.pointee.backlogDeadline <= now else { return }
        _ = unsafe me.pointee.stopInBacklog(.deadline) {
            $0.limits.deadlineNanoseconds <= now && $0.stop == .none
        }
        unsafe me.pointee.backlogDeadline = .max
        unsafe me.pointee.scanned = me.pointee.shared.queue.head
        unsafe me.pointee.scanQueue()
        for i in 0..<(unsafe me.pointee.parked.count) {
            let deadline = unsafe me.pointee.parked[i].queued.limits.deadlineNanoseconds
            if unsafe deadline < me.pointee.backlogDeadline {
                unsafe me.pointee.backlogDeadline = deadline
            }
        }
    }

    /// Notes the deadlines of what came into the queue since the last look; each is looked at once.
    private mutating func scanQueue() {
        let queue = shared.queue.end
        scanned = max(scanned, shared.queue.head)
        while scanned < queue {
            guard let element = unsafe shared.queue.element(at: scanned) else {
                // Taken out of the middle, or not filled yet: then it is looked at next time.
                if shared.queue.isFilled(scanned) {
                    scanned += 1
                    continue
                }
                return
            }
            if unsafe element.pointee.stop == .none {
                backlogDeadline = min(
                    backlogDeadline, unsafe element.pointee.limits.deadlineNanoseconds)
            }
            scanned += 1
        }
    }

    /// Begins what waited for the backlog.
    private mutating func passFences() {
        while let first = fenced.first, first.position <= shared.queue.head,
            parked.isEmpty || parked[0].sequence > first.sequence
        {
            switch first.action {
            case .close(let descriptor, let reply):
                // Closed before by somebody else: they are told.
                reply.give(descriptor.closeOnce())
            case .drain(let reply):
                if draining != nil || !hasCalledRefused() { return }
                beginDrain(first, reply)
            }
            fenced.removeFirst()
        }
    }

    /// Whether what had ended without a slot when the first fenced request's turn came was called
    /// back. What ends so later is not waited for: callbacks could keep it coming.
    private mutating func hasCalledRefused() -> Bool {
        let target = fenced[0].refusals ?? refusedTaken + refused.count
        fenced[0].refusals = target
        return refusedTaken >= target
    }

    /// From now on it is counted what the drain waits for.
    private mutating func beginDrain(_ fence: FencedRequest, _ reply: Reply<Bool>) {
        unsafe core.pointee.countForDrain { ticket in
            if let position = ticket.queuePosition { return position < fence.position }
            // Without a ticket of the context's it was accepted on the loop, before the fence or about then.
            return (ticket.parkedSequence ?? 0) <= fence.sequence
        }
        draining = DrainRequest(reply: reply, phase: phase)
        phase = 1 - phase
        unsafe core.pointee.needsHaste = true
    }

    private mutating func finishDrain() {
        // One that waited behind another may have nothing left to wait for: nobody would wake the loop
        // for it.
        while let request = draining {
            guard unsafe core.pointee.drainRemaining == 0 && core.pointee.huskCount == 0 else {
                // Continuations and what was held goes down later.
                unsafe core.pointee.needsHaste = true
                return
            }
            let handed = request.phase == 0 ? handedEven : handedOdd
            guard shared.returned(request.phase) == handed else { return }
            draining = nil
            // Who drained may close a descriptor next: what is idle is held no longer.
            unsafe core.pointee.endLingering()
            request.reply.give(true)
            passFences()
        }
    }
}

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Marks what has a slot and was accepted early enough; `drainRemaining` counts it down.
    @usableFromInline
    mutating func countForDrain(_ isEarly: (IOTicket) -> Bool) {
        drainRemaining = 0
        for number in 0..<UInt32(depth)
        where unsafe slots.slot(number).pointee.machine.state != .vacant
            && isEarly(IOTicket(rawValue: tickets?[Int(number)] ?? 0))
        {
            unsafe policies[Int(number)].countsForDrain = true
            unsafe slots.event(number).pointee.status.insert(.hasPolicy)
            drainRemaining += 1
        }
    }

    @inlinable @inline(__always)
    func hasBytesIfBounded(for event: borrowing IOEvent<Callback>) -> Bool {
        maximumBytes == .max || hasBytes(for: event)
    }

    /// Accepts an event that begins after another, if there is one. There is room.
    @usableFromInline
    mutating func accept(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits, after previous: UInt32?
    ) -> UInt32 {
        let isLate = isPast(limits)
        freeCount &-= 1
        let number = unsafe free[freeCount]
        unsafe slots.event(number).initialize(to: event)
        if isLate { return enrolLate(number).slot }
        _ = enrol(number, hold: previous == nil ? [] : .chain)
        if let previous { linkChain(previous, number) }
        limit(number, limits)
        return number
    }
}
