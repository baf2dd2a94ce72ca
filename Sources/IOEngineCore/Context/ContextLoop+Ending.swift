internal import DequeModule
internal import Synchronization

extension ContextLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// What cancellations get after the deadline of a shutdown, before the rest is given up: 100 ms.
    static var grace: Int64 { 100_000_000 }

    /// Nothing new is taken from here on: the queue was closed before this was asked for.
    mutating func beginEnding(_ deadline: Int64) {
        isEnding = true
        unsafe core.pointee.isClosed = true
        if endStage == .finishing { endDeadline = min(endDeadline, deadline) }
    }

    /// A driver that fails three times in a row, each after having tried for a while, is dead: what it has
    /// is given up for ever, and nothing more is taken.
    @usableFromInline
    static func noteFailure(_ me: UnsafeMutablePointer<Self>) {
        if unsafe me.pointee.isDriverDead { return unsafe waitWithoutDriver(me) }
        unsafe me.pointee.failures += 1
        guard unsafe me.pointee.failures == 3 else { return }
        unsafe me.pointee.shared.closeIntake()
        unsafe me.pointee.beginEnding(.min)
        unsafe me.pointee.isDriverDead = true
        unsafe me.pointee.core.pointee.isDead = true
    }

    /// A dead driver does not wait: without it the loop sleeps here until a worker or somebody else wakes it.
    private static func waitWithoutDriver(_ me: UnsafeMutablePointer<Self>) {
        let shared = unsafe me.pointee.shared
        // A loop that tests drive by hand has no thread that may sleep.
        if !EngineThread.isCurrentOurs { return }
        // Pairs with the fence in `wake`: what was brought before is seen below.
        ThreadFence.raise(shared.isSleeping)
        if unsafe me.pointee.isIdle && me.pointee.core.pointee.available == 0 {
            _ = shared.withoutDriver.wait { !shared.isSleeping.load(ordering: .acquiring) }
        }
        shared.isSleeping.store(false, ordering: .relaxed)
    }

    /// Finishes, then cancels, then gives up. False: all has settled, the loop may go.
    static func goOnEnding(_ me: UnsafeMutablePointer<Self>) -> Bool {
        // What layers hold back, and what becomes free to begin.
        unsafe me.pointee.core.pointee.needsHaste = true
        let now = unsafe me.pointee.core.pointee.driver.now().nanoseconds
        if unsafe me.pointee.isDriverDead {
            // Called back as ever, from the loop or by workers: a callback may come in again.
            _ = unsafe cancelAll(.all, me)
            unsafe me.pointee.core.pointee.abandonInFlight()
        } else if unsafe me.pointee.endDeadline <= now {
            switch unsafe me.pointee.endStage {
            case .finishing:
                unsafe me.pointee.endStage = .cancelling
                unsafe me.pointee.endDeadline = now + grace
                _ = unsafe cancelAll(.all, me)
            case .cancelling:
                unsafe me.pointee.endStage = .abandoning
                _ = unsafe cancelAll(.all, me)
                unsafe me.pointee.core.pointee.abandonInFlight()
            case .abandoning: break
            }
        }
        if unsafe me.pointee.endStage == .abandoning {
            // What an event given up was holding back has begun meanwhile, or never will.
            _ = unsafe cancelAll(.all, me)
            unsafe me.pointee.core.pointee.abandonInFlight()
        }
        guard unsafe me.pointee.hasCalledAll() else { return true }
        unsafe me.pointee.sayAllCalled()
        // Only now: until here no slot may come free whose request the driver still has.
        if unsafe me.pointee.isDriverDead { unsafe me.pointee.core.pointee.keepAbandoned() }
        return unsafe me.pointee.core.pointee.occupied > 0
    }

    /// Whether every accepted event's callback has returned.
    private mutating func hasCalledAll() -> Bool {
        // The order matters: a callback on a worker that has returned has submitted before it did.
        let returned = shared.returned(0) &+ shared.returned(1)
        guard returned == handedEven &+ handedOdd else { return false }
        takeReturns()
        return unsafe parked.isEmpty && refused.isEmpty && shared.queue.end == shared.queue.head
            && core.pointee.inFlight == 0
    }

    private mutating func sayAllCalled() {
        guard !shared.allCalled.load(ordering: .relaxed) else { return }
        shared.unsettled.store(unsafe core.pointee.abandonedCount, ordering: .relaxed)
        shared.allCalled.store(true, ordering: .releasing)
        shared.ending.notify()
    }

    /// The last thing on the loop's thread: nobody can reach the loop any more when this returns.
    @usableFromInline
    static func end(_ me: UnsafeMutablePointer<Self>) {
        let shared = unsafe me.pointee.shared
        let workers = unsafe me.pointee.workers
        // Before anybody hears of the end: who does may close a descriptor.
        unsafe me.pointee.core.pointee.endLingeringOfAll()
        let mail = shared.mail.withLock { mail in
            mail.isClosed = true
            return mail.takeAll()
        }
        // Those who still wait for an answer: everything has ended.
        for letter in mail.letters { unsafe answer(letter, me) }
        // Before the jobs are given away: who hears of it may start some.
        unsafe reportSettled(me)
        for job in unsafe me.pointee.jobs + mail.jobs { StrayJobs.run(job) }
        for request in unsafe me.pointee.fenced { answer(request.action) }
        unsafe me.pointee.draining?.reply.give(true)
        if let workers { workers.pool.remove(shared) }
        unsafe me.pointee.endSnapshots()
        shared.lastInFlight.store(0, ordering: .relaxed)
        shared.lastHead.store(shared.queue.end, ordering: .relaxed)
        // A thread made later may have this one's identity.
        shared.thread.store(0, ordering: .relaxed)
        unsafe shared.loopSide = nil
        // On this thread: a ring belongs to its maker.
        // Moved out, because `deinitialize(count:)` may skip its `deinit`: see Architecture.
        _ = unsafe me.move()
        unsafe me.deallocate()
        shared.isGone.store(true, ordering: .releasing)
        shared.ending.notify()
    }

    private static func answer(_ letter: ContextLetter, _ me: UnsafeMutablePointer<Self>) {
        switch letter {
        case .cancel(_, let reply): reply?.give(.unknown)
        case .cancelAll(_, let reply): reply?.give(0)
        case .drain(_, let reply): reply.give(true)
        case .close(let descriptor, _, let reply): answer(.close(descriptor, reply))
        case .forget(_, _, let reply): reply.give(true)
        case .registerPool(_, let reply), .registerDescriptor(_, let reply):
            reply.give(.unavailable(errno: Errnos.canceled))
        case .shutDown: break
        }
    }

    private static func answer(_ action: FencedRequest.Action) {
        switch action {
        case .drain(let reply): reply.give(true)
        case .close(let descriptor, let reply): reply.give(descriptor.closeOnce())
        }
    }
}

/// Jobs whose loop has ended run on the global pool: they must run somewhere.
enum StrayJobs {
    static func run(_ job: UnownedJob) { globalConcurrentExecutor.enqueue(ExecutorJob(job)) }
}
