public import DequeModule
public import Synchronization

/// A context's side on its loop's thread: an ``IOLoop`` and all that feeds it.
///
/// Lives at an address that stays, and is only touched through it on that thread. Callbacks come back in
/// through the same address, so no method that calls them holds an access to it: those are static and
/// take the pointer.
///
/// Order: what was accepted and has no slot yet, the *backlog*, lies in the queue or, if a callback
/// submitted it meanwhile, is parked. It is admitted in the order of acceptance, and nothing new
/// overtakes it. So producers and resubmissions take turns, and syncs keep their place.
@safe @frozen @usableFromInline
struct ContextLoop<Callback: IOCallback & ~Copyable, Driver: IODriver & ~Copyable>: ~Copyable {
    @usableFromInline typealias Core = LoopCore<Callback, Driver>

    @usableFromInline var loop: IOLoop<Callback, Driver>
    @usableFromInline let core: UnsafeMutablePointer<Core>
    @usableFromInline let shared: ContextShared<Callback>
    @usableFromInline let workers: IOWorkers?
    @usableFromInline let onSettled: (@Sendable (IOSettlement) -> Void)?

    /// Grows with callbacks that submit again while others wait, each of which had its place before.
    @usableFromInline var parked = UniqueDeque<ParkedEvent<Callback>>()
    /// The head of the queue before which everything that workers submitted was parked.
    @usableFromInline var returnsTakenFor = -1
    /// Ended without ever having had a slot, on their way to their callbacks.
    @usableFromInline var refused = UniqueDeque<IOEvent<Callback>>()
    /// How many of them were taken out so far.
    @usableFromInline var refusedTaken = 0
    /// The callback that runs may submit once although there is no room.
    @usableFromInline var hasRight = false

    /// Events handed to the workers, by phase, and which phase it is.
    @usableFromInline var handedEven = 0
    @usableFromInline var handedOdd = 0
    @usableFromInline var phase = 0
    @usableFromInline let deliveryRoom: Int
    /// Slots that callbacks on workers had given back, and callbacks that had returned, when this cycle
    /// began.
    @usableFromInline var slotsSeen = 0
    @usableFromInline var returnsSeen = 0

    @usableFromInline var jobs: [UnownedJob] = []
    /// Whose executor the loop is; nil after the context object has ended.
    @usableFromInline var executor: UnownedTaskExecutor?

    /// What waits for the backlog to pass a point.
    @usableFromInline var fenced: [FencedRequest] = []
    @usableFromInline var draining: DrainRequest?
    /// The earliest deadline in the backlog, and how far the queue was looked at.
    @usableFromInline var backlogDeadline = Int64.max
    @usableFromInline var scanned = 0
    /// The backlog waits for slots or bytes, not for a producer.
    @usableFromInline var isOutOfRoom = false

    @usableFromInline var isEnding = false
    /// When to give up what is left; `.max`: never.
    @usableFromInline var endDeadline = Int64.max
    @usableFromInline var endStage = EndStage.finishing
    @usableFromInline var spin: IdleSpin
    /// When the loop went to sleep with nothing in flight; `.min`: it did not.
    @usableFromInline var sleptSince = Int64.min
    /// The driver's clock is CLOCK_MONOTONIC, not a virtual one.
    @usableFromInline let isOnMonotonicClock: Bool
    /// When the counters were last published, on the driver's clock.
    @usableFromInline var lastPublished = Int64.min / 2
    /// Failures of the driver in a row.
    @usableFromInline var failures = 0
    @usableFromInline var isDriverDead = false

    @usableFromInline
    enum EndStage: Sendable {
        case finishing, cancelling, abandoning
    }

    @inlinable
    init(
        loop: consuming IOLoop<Callback, Driver>, shared: ContextShared<Callback>,
        workers: IOWorkers?, deliveryRoom: Int, spin: IdleSpin,
        onSettled: (@Sendable (IOSettlement) -> Void)?
    ) {
        unsafe core = loop.core
        self.shared = shared
        self.workers = workers
        self.deliveryRoom = deliveryRoom
        self.onSettled = onSettled
        self.spin = spin
        // No other clock stands between two looks at this one.
        let before = IOInstant.monotonic()
        let now = unsafe loop.core.pointee.driver.now()
        isOnMonotonicClock = before <= now && now <= .monotonic()
        self.loop = loop
    }

    // MARK: The cycle

    /// The life of the loop's thread.
    ///
    /// What lies between here and the driver's wait is inlined: after a system call the processor has
    /// forgotten where its callers return to, and each return costs about 8 ns.
    @inlinable
    static func run(_ me: UnsafeMutablePointer<Self>) {
        while unsafe cycle(me) {}
    }

    /// Once around: callbacks, mail, jobs, backlog, kernel. False: everything has ended.
    @inlinable @inline(__always)
    static func cycle(_ me: UnsafeMutablePointer<Self>) -> Bool {
        unsafe me.pointee.readClock()
        unsafe runCallbacks(me)
        // What ran has forked, and this is the child: its loop does nothing any more.
        if unsafe me.pointee.shared.isForked { return false }
        if unsafe me.pointee.core.pointee.settlements.isEmpty == false { unsafe reportSettled(me) }
        if unsafe me.pointee.shared.hasMail.load(ordering: .acquiring) { unsafe readMail(me) }
        if unsafe !me.pointee.jobs.isEmpty { unsafe runJobs(me) }
        if unsafe me.pointee.shared.isForked { return false }
        if unsafe me.pointee.hasBacklog || me.pointee.isOutOfRoom || me.pointee.workers != nil {
            unsafe me.pointee.admit()
        } else if unsafe me.pointee.shared.producers.waiting.load(ordering: .relaxed) > 0 {
            unsafe me.pointee.letProducersIn()
        }
        if unsafe me.pointee.needsAttention, unsafe !attend(me) { return false }
        unsafe me.pointee.core.pointee.endLingering()
        guard let wait = unsafe prepareToWait(me) else { return true }
        let outcome = unsafe me.pointee.core.pointee.waitForAnything(
            wait.mayBlock, deadline: wait.deadline)
        unsafe me.pointee.shared.isSleeping.store(false, ordering: .relaxed)
        if case .failed = outcome {
            unsafe noteFailure(me)
        } else {
            unsafe me.pointee.failures = 0
        }
        return true
    }

    /// One look at the clock for everything that happens until the next.
    @inlinable @inline(__always)
    mutating func readClock() {
        let now = unsafe core.pointee.driver.coarseNow().nanoseconds
        unsafe core.pointee.coarseNow = now
        shared.lastCycle.store(
            isOnMonotonicClock ? now : IOInstant.coarseMonotonic().nanoseconds, ordering: .relaxed)
        if now &- lastPublished >= ContextLoop.publishingInterval { publish() }
        if sleptSince != .min {
            spin.noteSleep(IOInstant.monotonic().nanoseconds &- sleptSince)
            sleptSince = .min
        }
        shared.lastInFlight.store(unsafe core.pointee.inFlight, ordering: .relaxed)
        shared.lastHead.store(shared.queue.head, ordering: .relaxed)
        if workers != nil { readWorkers() }
    }

    /// Calls back what is finished, or hands it to the workers.
    @inlinable @inline(__always)
    static func runCallbacks(_ me: UnsafeMutablePointer<Self>) {
        if unsafe me.pointee.workers != nil { return unsafe deliverFinished(me) }
        let core = unsafe me.pointee.core
        let submitter = unsafe IOSubmitter<Callback>(target: UnsafeMutableRawPointer(me)) {
            target, event, limits in
            unsafe target.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self).pointee
                .submit(event, limits)
        }
        // Callbacks that submit what is finished at once must not keep the others waiting.
        var left = unsafe 2 &* core.pointee.depth
        var mayReap = true
        // Those that callbacks add are for the next round.
        var refusedLeft = unsafe me.pointee.refused.count
        unsafe core.pointee.readyQuota = -1
        while left > 0 {
            left &-= 1
            if unsafe refusedLeft > 0 || core.pointee.huskCount > 0 {
                guard let event = unsafe me.pointee.nextFinished(&mayReap, &refusedLeft) else {
                    break
                }
                unsafe me.pointee.hasRight = true
                let start = unsafe core.pointee.callbackStart
                event.complete(submitter)
                if let start { unsafe core.pointee.noteCallback(since: start) }
            } else {
                guard let number = unsafe core.pointee.nextFinished(&mayReap) else { break }
                let start = unsafe core.pointee.callbackStart
                let isAgain = unsafe complete(me, number, submitter)
                if let start { unsafe core.pointee.noteCallback(since: start) }
                if isAgain { continue }
            }
            if unsafe me.pointee.shared.isForked { return }
            if unsafe me.pointee.hasBacklog { unsafe me.pointee.admit() }
        }
        unsafe me.pointee.hasRight = false
    }

    /// Lets a finished event's callback submit it again where it lies, or calls it.
    ///
    /// - Returns: It was submitted again there, and nothing else waits.
    @inlinable @inline(__always)
    static func complete(
        _ me: UnsafeMutablePointer<Self>, _ number: UInt32,
        _ submitter: borrowing IOSubmitter<Callback>
    ) -> Bool {
        let core = unsafe me.pointee.core
        unsafe core.pointee.conclude(number)
        let stay = unsafe core.pointee.stayForNow(number)
        let event = unsafe core.pointee.slots.event(number)
        let isOpen = unsafe !me.pointee.isClosed
        // The right to submit once without room is the event's own, not for what the look submits.
        unsafe me.pointee.hasRight = false
        let goesRound = unsafe isOpen && Callback.resubmits(&event.pointee)
        if unsafe me.pointee.shared.isForked { return false }
        if goesRound {
            // Nothing is overtaken, and none of the special orders concerns it.
            if unsafe !me.pointee.isClosed && !me.pointee.hasBacklog && core.pointee.takesAnything
                && event.pointee.action.isTransfer
            {
                unsafe core.pointee.enrolAgain(number, stay)
                return true
            }
            unsafe me.pointee.hasRight = true
            unsafe submitTakenOut(me, number, stay, submitter)
        } else {
            unsafe me.pointee.hasRight = true
            unsafe core.pointee.takeOut(number, stay).complete(submitter)
        }
        return false
    }

    /// Submits a finished event as its callback would, because something waits or is special about it.
    @inlinable @inline(never)
    static func submitTakenOut(
        _ me: UnsafeMutablePointer<Self>, _ number: UInt32, _ stay: Stay,
        _ submitter: borrowing IOSubmitter<Callback>
    ) {
        let event = unsafe me.pointee.core.pointee.takeOut(number, stay)
        switch unsafe me.pointee.submit(event, .none) {
        case .accepted: break
        // Never full: the first submission of a callback finds room.
        case .full(let event): event.completeRefused(submitter)
        case .closed(let event): event.completeRefused(submitter)
        }
    }

    /// The same for events that workers call back.
    @inlinable @inline(never)
    static func deliverFinished(_ me: UnsafeMutablePointer<Self>) {
        let core = unsafe me.pointee.core
        var left = unsafe 2 &* core.pointee.depth
        var mayReap = true
        var refusedLeft = unsafe me.pointee.refused.count
        unsafe core.pointee.readyQuota = -1
        while left > 0 {
            let remaining = unsafe core.pointee.drainRemaining
            let husks = unsafe core.pointee.huskCount
            guard let event = unsafe me.pointee.nextFinished(&mayReap, &refusedLeft) else { break }
            left &-= 1
            // An abandoned event counts until it settles, but its callback belongs to the drain under way
            // too.
            let counts =
                unsafe remaining != core.pointee.drainRemaining
                || (husks > core.pointee.huskCount && me.pointee.draining != nil)
            unsafe me.pointee.deliver(event, counts: counts)
            if unsafe me.pointee.shared.isForked { return }
            if unsafe me.pointee.hasBacklog { unsafe me.pointee.admit() }
        }
    }

    /// Whether the loop takes nothing any more.
    @inlinable @inline(__always)
    var isClosed: Bool {
        isEnding || shared.isClosing.load(ordering: .relaxed) || shared.isForked
    }

    /// The next event to call back.
    ///
    /// - Parameter refusedLeft: How many of `refused` belong to this round.
    @inlinable @inline(__always)
    mutating func nextFinished(
        _ mayReap: inout Bool, _ refusedLeft: inout Int
    ) -> IOEvent<Callback>? {
        if refusedLeft > 0 { return nextRefused(&refusedLeft) }
        return unsafe core.pointee.next(&mayReap)
    }

    /// One that never had a slot, if the workers have a place for it: those are as many as there are slots
    /// and places in the queue, but what callbacks submitted in addition counts too.
    @usableFromInline
    mutating func nextRefused(_ refusedLeft: inout Int) -> IOEvent<Callback>? {
        if !hasDeliveryRoom { return unsafe core.pointee.next() }
        refusedLeft &-= 1
        refusedTaken &+= 1
        unsafe core.pointee.statistics.completed &+= 1
        return refused.removeFirst()
    }

    /// Whether the workers can take an event that had no slot, and still have room for all that have one.
    @usableFromInline
    var hasDeliveryRoom: Bool {
        let out = handedEven &+ handedOdd &- shared.returned(0) &- shared.returned(1)
        return unsafe workers == nil || out < deliveryRoom &- core.pointee.depth
    }

    /// Puts a finished event where the workers find it.
    ///
    /// - Parameter counts: A drain waits for its callback: it belongs to the phase that the drain ended.
    @inlinable
    mutating func deliver(_ event: consuming IOEvent<Callback>, counts: Bool) {
        let phase = counts ? 1 - self.phase : self.phase
        if phase == 0 { handedEven &+= 1 } else { handedOdd &+= 1 }
        shared.deliveries.push(DeliveredEvent(event, phase: phase))
        workers?.pool.post()
    }

    /// One look at what the workers have done.
    @inlinable
    mutating func readWorkers() {
        returnsSeen = shared.returned(0) &+ shared.returned(1)
        slotsSeen = shared.slotsReturned.load(ordering: .acquiring)
    }

    /// Slots that belong to callbacks on workers, as far as is known.
    @inlinable var atWorkers: Int { handedEven &+ handedOdd &- slotsSeen }

    /// Jobs of Swift's concurrency that run on this loop. Those that they start run in the next cycle.
    @usableFromInline
    static func runJobs(_ me: UnsafeMutablePointer<Self>) {
        var jobs: [UnownedJob] = []
        unsafe swap(&jobs, &me.pointee.jobs)
        for job in jobs {
            // Each time: a job may drop the last reference to the context.
            if let executor = unsafe me.pointee.currentExecutor() {
                unsafe job.runSynchronously(on: executor)
            } else {
                StrayJobs.run(job)
            }
        }
        jobs.removeAll(keepingCapacity: true)
        // The memory is used again, unless jobs came meanwhile.
        if unsafe me.pointee.jobs.isEmpty { unsafe swap(&jobs, &me.pointee.jobs) }
    }

    /// Under whose identity jobs run; nil before the context object is there, and after its end.
    private mutating func currentExecutor() -> UnownedTaskExecutor? {
        if shared.isAbandonedByOwner.load(ordering: .acquiring) {
            unsafe executor = nil
        } else if unsafe executor == nil, shared.hasExecutor.load(ordering: .acquiring) {
            unsafe executor = unsafe shared.executor
        }
        return unsafe executor
    }

    // MARK: Sleeping

    /// How the loop may wait.
    @frozen @usableFromInline
    struct Wait {
        @usableFromInline let mayBlock: Bool
        @usableFromInline let deadline: IOInstant?

        @inlinable
        init(mayBlock: Bool, deadline: IOInstant?) {
            self.mayBlock = mayBlock
            self.deadline = deadline
        }
    }

    /// Lets everybody see that the loop submits now and, if there is nothing left to do, sleeps until
    /// something comes. Nil: something came already.
    @inlinable @inline(__always)
    static func prepareToWait(_ me: UnsafeMutablePointer<Self>) -> Wait? {
        let core = unsafe me.pointee.core
        // All that has a slot is held, and so waits for something that is still to come.
        let isQuiet =
            unsafe core.pointee.occupied == core.pointee.heldCount
            && core.pointee.huskCount == 0 && me.pointee.jobs.isEmpty
            && me.pointee.refused.isEmpty && !me.pointee.isOutOfRoom
        if unsafe isQuiet && me.pointee.spin.isWorthIt && !me.pointee.isEnding
            && me.pointee.spinForWork()
        {
            return nil
        }
        if unsafe me.pointee.workers != nil {
            unsafe me.pointee.shared.needsReturns.store(
                me.pointee.waitsForReturns, ordering: .relaxed)
        }
        // Pairs with the fence in `wake`: what was brought before is seen below.
        unsafe ThreadFence.raise(me.pointee.shared.isSleeping)
        if unsafe me.pointee.shared.producers.waiting.load(ordering: .relaxed) > 0 {
            unsafe me.pointee.letProducersIn()
        }
        let mayBlock = unsafe me.pointee.isIdle
        if mayBlock, isQuiet {
            unsafe me.pointee.sleptSince = IOInstant.monotonic().nanoseconds
        }
        let deadline = unsafe min(
            me.pointee.backlogDeadline,
            me.pointee.endStage == .abandoning ? .max : me.pointee.endDeadline)
        return Wait(
            mayBlock: mayBlock,
            deadline: deadline == .max ? nil : IOInstant(nanoseconds: deadline))
    }

    /// Nothing to do until somebody wakes the loop.
    @inlinable @inline(__always)
    var isIdle: Bool {
        if !jobs.isEmpty || shared.hasMail.load(ordering: .acquiring) { return false }
        if !refused.isEmpty, hasDeliveryRoom { return false }
        if workers != nil, waitsForReturns,
            shared.returned(0) &+ shared.returned(1) != returnsSeen
                || shared.slotsReturned.load(ordering: .relaxed) != slotsSeen
        {
            return false
        }
        return isOutOfRoom || !shared.queue.isReady()
    }

    /// What waits for callbacks on workers to return must hear of it.
    @inlinable
    var waitsForReturns: Bool {
        isOutOfRoom || isEnding || draining != nil || !refused.isEmpty
    }

    /// Looks at queue and mail for a short while: a wake-up costs the producer a system call and both
    /// tens of microseconds. True: something came.
    @usableFromInline
    mutating func spinForWork() -> Bool {
        let start = IOInstant.monotonic()
        while true {
            for _ in 0..<64 {
                if shared.queue.isReady() || shared.hasMail.load(ordering: .relaxed) {
                    spin.succeeded()
                    return true
                }
                ThreadFence.relax()
            }
            if IOInstant.monotonic().nanoseconds(since: start) >= spin.budget {
                spin.failed()
                return false
            }
        }
    }
}
