public import BasicContainers
public import Synchronization

/// What the threads around a context share: producers, its loop's thread and the workers. Everything in
/// it may be used by any thread, except where it says so.
///
/// The loop's thread keeps it alive, and so does every event at the workers; a context keeps it from the
/// outside, so that the context's end can stop the thread.
@safe @usableFromInline
final class ContextShared<Callback: IOCallback & ~Copyable>: WorkerClient, @unchecked Sendable {
    // Unchecked: what is `var` is written before the context is handed out.
    @usableFromInline let queue: SubmissionQueue<QueuedEvent<Callback>>
    /// Producers that wait for a place in the queue.
    @usableFromInline let producers = WaitingRoom()

    /// The loop sleeps, or is about to: whoever brings something exchanges this for false and wakes it.
    @usableFromInline let isSleeping = Atomic<Bool>(false)
    /// Where the loop sleeps once its driver is dead.
    @usableFromInline let withoutDriver = WaitingRoom()
    /// There is something beside the queue: mail, jobs, or events that workers submitted.
    @usableFromInline let hasMail = Atomic<Bool>(false)
    @usableFromInline let mail = LockedValue<Mail>(Mail())
    /// Submitted by callbacks on workers when the queue was full.
    @usableFromInline let returns = LockedValue<UniqueArray<ParkedEvent<Callback>>>(.init())
    @usableFromInline let parkedSequence = Atomic<UInt64>(0)

    /// Finished events for the workers.
    @usableFromInline let deliveries: DeliveryQueue<DeliveredEvent<Callback>>
    /// ``runDelivered()``, made where callback and driver are known: unspecialised it would allocate.
    @usableFromInline var runner: @Sendable (ContextShared) -> Bool = { $0.runDelivered() }
    /// Callbacks that have returned on workers, by phase. A drain begins a new phase and waits for what
    /// was handed over in the old one.
    @usableFromInline let returnedEven = Atomic<Int>(0)
    @usableFromInline let returnedOdd = Atomic<Int>(0)
    /// Slots that callbacks on workers have given back: when they submitted, or else when they returned.
    @usableFromInline let slotsReturned = Atomic<Int>(0)
    /// The loop waits for callbacks on workers to give slots back, or to return.
    @usableFromInline let needsReturns = Atomic<Bool>(false)

    /// The identity of the loop's thread.
    @usableFromInline let thread = Atomic<UInt>(0)
    /// The ``ContextLoop``, for calls on the loop's own thread only.
    @usableFromInline var loopSide: UnsafeMutableRawPointer?
    @usableFromInline var waker = IOWaker.none
    @usableFromInline let life: UnsafeMutablePointer<EngineLife>

    /// When the loop last went around, on CLOCK_MONOTONIC, and what it had then; for those who cannot wait
    /// for it.
    @usableFromInline let lastCycle = Atomic<Int64>(0)
    @usableFromInline let lastInFlight = Atomic<Int>(0)
    @usableFromInline let lastHead = Atomic<Int>(0)
    @usableFromInline let wakeUps = Atomic<UInt64>(0)
    @usableFromInline let board = SnapshotBoard()

    /// Somebody has asked for the end: the loop's own thread takes nothing more either.
    @usableFromInline let isClosing = Atomic<Bool>(false)
    /// The end: who waits for it, whether every callback was called, and whether the loop is gone.
    @usableFromInline let ending = WaitingRoom()
    @usableFromInline let allCalled = Atomic<Bool>(false)
    @usableFromInline let isGone = Atomic<Bool>(false)
    /// Requests given up that had not settled when every callback was called.
    @usableFromInline let unsettled = Atomic<Int>(0)
    /// Under whose identity jobs run; written before `hasExecutor`.
    @usableFromInline var executor: UnownedTaskExecutor?
    @usableFromInline let hasExecutor = Atomic<Bool>(false)
    /// The context object has ended: its identity as an executor is not valid any more.
    @usableFromInline let isAbandonedByOwner = Atomic<Bool>(false)

    @usableFromInline
    init(capacity: Int, deliveries: Int) {
        queue = SubmissionQueue(capacity: capacity)
        self.deliveries = DeliveryQueue(capacity: deliveries)
        unsafe life = EngineLife.begin()
    }

    deinit { unsafe EngineLife.end(life) }

    @inlinable var isForked: Bool { unsafe life.pointee.isForked }
    @inlinable var isOnLoop: Bool {
        thread.load(ordering: .relaxed) == ThreadIdentity.current
    }

    // MARK: Waking

    /// Wakes the loop if it sleeps. Called after something was brought.
    ///
    /// The fence pairs with the loop's, between saying that it sleeps and looking once more: either the
    /// loop sees what was brought, or the flag is seen here.
    @inlinable
    func wake() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if isSleeping.load(ordering: .relaxed) { wakeSleeping() }
    }

    @usableFromInline
    func wakeSleeping() {
        // Of several, one makes the system call.
        guard isSleeping.exchange(false, ordering: .acquiringAndReleasing) else { return }
        wakeUps.add(1, ordering: .relaxed)
        waker.wake()
        withoutDriver.notify()
    }

    // MARK: Mail

    /// What is asked of the loop, seldom enough for a lock.
    ///
    /// Bounded while the loop reads nothing, because a callback keeps it: by the threads that wait for an
    /// answer, the descriptors and events that there are, and the tasks.
    @usableFromInline
    struct Mail: Sendable {
        /// With those who wait for the answer, and others that are there once.
        @usableFromInline var letters: [ContextLetter] = []
        /// Events that are to be stopped and nobody waits for the answer.
        @usableFromInline var cancelled: Set<IOTicket> = []
        /// The earliest deadline of the shutdowns that were asked for; nil: none was.
        @usableFromInline var shutdownDeadline: Int64?
        @usableFromInline var jobs: [UnownedJob] = []
        /// The loop is gone and reads nothing any more.
        @usableFromInline var isClosed = false
        @usableFromInline init() {}

        /// What is asked again changes nothing.
        mutating func add(_ letter: ContextLetter) {
            switch letter {
            case .cancel(let ticket, nil): cancelled.insert(ticket)
            case .shutDown(let deadline):
                shutdownDeadline = min(shutdownDeadline ?? .max, deadline)
            case .cancelAll(let scope, nil):
                let isThere = letters.contains { other in
                    if case .cancelAll(let known, nil) = other {
                        known.isSame(as: scope)
                    } else {
                        false
                    }
                }
                if !isThere { letters.append(letter) }
            default: letters.append(letter)
            }
        }

        var count: Int { letters.count + cancelled.count + (shutdownDeadline == nil ? 0 : 1) }

        /// Takes everything out.
        mutating func takeAll() -> Mail {
            var taken = self
            taken.jobs = []
            swap(&taken.jobs, &jobs)
            letters = []
            cancelled = []
            shutdownDeadline = nil
            return taken
        }
    }

    /// False: the loop is gone.
    @usableFromInline
    func send(_ letter: ContextLetter) -> Bool {
        let isSent = mail.withLock { mail in
            if mail.isClosed { return false }
            mail.add(letter)
            return true
        }
        if isSent { announce() }
        return isSent
    }

    /// False: the loop is gone.
    @usableFromInline
    func send(_ job: UnownedJob) -> Bool {
        let isSent = mail.withLock { mail in
            if mail.isClosed { return false }
            mail.jobs.append(job)
            return true
        }
        if isSent { announce() }
        return isSent
    }

    @usableFromInline
    func announce() {
        hasMail.store(true, ordering: .releasing)
        wake()
    }

    // MARK: Workers

    /// Callbacks that have returned on workers.
    @inlinable
    func returned(_ phase: Int) -> Int {
        // Acquire: pairs with the release in `noteReturn`; what the callback submitted is seen.
        phase == 0
            ? returnedEven.load(ordering: .acquiring) : returnedOdd.load(ordering: .acquiring)
    }

    /// A callback has returned.
    @inlinable
    func noteReturn(_ phase: Int) {
        if phase == 0 {
            returnedEven.add(1, ordering: .releasing)
        } else {
            returnedOdd.add(1, ordering: .releasing)
        }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if needsReturns.load(ordering: .relaxed) { wake() }
    }

    @usableFromInline
    func runOne() -> Bool { runner(self) }

    /// Runs the callback of one finished event on a worker's thread. False: there is none.
    @inlinable
    func runDelivered() -> Bool {
        guard let delivered = deliveries.pop() else { return false }
        let phase = delivered.phase
        let isSlotLeft = WorkerScope.run(delivered.event, self)
        // The callback has forked, and this is the child: the loop is not here.
        if isForked { return true }
        if isSlotLeft {
            // Before the return is noted, whose fence and wake-up serve both.
            slotsReturned.add(1, ordering: .relaxed)
        }
        noteReturn(phase)
        return true
    }
}

/// A letter to a context's loop.
@usableFromInline
enum ContextLetter: Sendable {
    case cancel(IOTicket, Reply<IOCancellation>?)
    case cancelAll(EventScope, Reply<Int>?)
    /// Answered when everything accepted before position `fence` of the queue has been called back.
    case drain(fence: Int, Reply<Bool>)
    /// Closes a descriptor when everything accepted before has reached the loop.
    case close(IODescriptor, fence: Int, Reply<Bool>)
    /// Drops what is known of a plain number, or only its failed sync.
    case forget(Int32, onlySyncError: Bool, Reply<Bool>)
    case registerPool(IOBufferPool, Reply<IORegistration>)
    case registerDescriptor(IODescriptor, Reply<IORegistration>)
    /// Ends the loop; at the deadline, in nanoseconds on its clock, by giving up.
    case shutDown(deadline: Int64)
}

/// What a callback on a worker submits through.
@safe @usableFromInline
struct WorkerScope<Callback: IOCallback & ~Copyable> {
    @usableFromInline let shared: Unmanaged<ContextShared<Callback>>
    /// The event's slot still belongs to the callback: one submission finds room for sure, and takes the
    /// slot with it.
    @usableFromInline var hasSlot = true

    @inlinable
    init(_ shared: ContextShared<Callback>) {
        unsafe self.shared = Unmanaged.passUnretained(shared)
    }

    /// Runs an event's callback. True: its slot was not given back yet.
    @inlinable @inline(__always)
    static func run(
        _ event: consuming IOEvent<Callback>, _ shared: ContextShared<Callback>
    ) -> Bool {
        var scope = WorkerScope(shared)
        var box = Optional(event)
        unsafe withUnsafeMutablePointer(to: &scope) { scope in
            let submitter = unsafe IOSubmitter<Callback>(target: UnsafeMutableRawPointer(scope)) {
                target, event, limits in
                unsafe target.assumingMemoryBound(to: WorkerScope<Callback>.self).pointee
                    .submit(event, limits)
            }
            box.take()?.complete(submitter)
        }
        return scope.hasSlot
    }

    @inlinable
    mutating func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        // The scope lives inside `run`, which has the object.
        let shared = unsafe self.shared.takeUnretainedValue()
        if shared.isForked { return .closed(event) }
        switch shared.queue.claim(1) {
        case .closed: return .closed(event)
        case .position(let position):
            giveSlotBack(shared)
            shared.queue.fill(position, QueuedEvent(event, limits))
            shared.wake()
            return .accepted(IOTicket(queued: position))
        case .full:
            guard hasSlot else { return .full(event) }
            giveSlotBack(shared)
            return .accepted(shared.park(event, limits))
        }
    }
}

extension WorkerScope where Callback: ~Copyable {
    /// Before the event is there to be seen, so that the loop finds room for it.
    @inlinable
    mutating func giveSlotBack(_ shared: ContextShared<Callback>) {
        guard hasSlot else { return }
        hasSlot = false
        shared.slotsReturned.add(1, ordering: .releasing)
    }
}
