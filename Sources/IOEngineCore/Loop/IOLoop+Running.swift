extension IOLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Hands an event to the engine. It reaches the kernel with the next ``wait(minimum:deadline:)``
    /// or ``run(minimum:deadline:)``.
    ///
    /// - Returns: `accepted` with a ticket, `full` with the event when as many events as the depth
    ///   allows are in flight, or `closed` with the event while the loop drains and after the driver
    ///   is gone for good. Everything else that may be wrong with the event arrives as its result.
    @inlinable
    public mutating func submit(_ event: consuming IOEvent<Callback>) -> IOSubmission<Callback> {
        unsafe core.pointee.submit(event)
    }

    /// The same for an event that may take only so long. See ``IOLimits``.
    @inlinable
    public mutating func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        unsafe core.pointee.submit(event, limits)
    }

    /// The next finished event, or nil when there is none without a system call.
    ///
    /// Its slot is free when this returns, so one submission finds room. Its callback is not called.
    @inlinable
    public mutating func next() -> IOEvent<Callback>? {
        unsafe core.pointee.next()
    }

    /// Lets `body` see the finished events where they lie, and submits those again that it says:
    /// the fastest way to keep a loop busy, because no event is moved. Callbacks are not called.
    ///
    /// ```swift
    /// loop.forEachFinished { event in
    ///     checksum(event.buffer.bytes)
    ///     event.restart(at: nextOffset())
    ///     return .submitAgain
    /// }
    /// ```
    ///
    /// - Returns: How many there were; at most twice the depth, however fast they finish. What is
    ///   refused meanwhile is shown the next time.
    @inlinable @inline(__always) @discardableResult
    public mutating func forEachFinished(
        _ body: (inout IOEvent<Callback>) -> IODisposition
    ) -> Int {
        unsafe core.pointee.forEachFinished(limit: 2 &* core.pointee.depth, body)
    }

    /// Hands what was submitted to the kernel and waits.
    ///
    /// - Parameters:
    ///   - minimum: Events to wait for; 0: only hand over. A goal: fewer may be finished when it
    ///     returns, because parts of events, wake-ups, signals and the events' own limits count
    ///     too, so look and wait again. Never more than are in flight.
    ///   - deadline: On the driver's clock (``now``); nil: none. With nothing in flight, this waits
    ///     for the deadline or the waker; without a deadline it returns at once, because nothing
    ///     that the loop knows of could end it. To sleep until the waker is used, call
    ///     ``waitForAnything(deadline:)``.
    /// - Returns: `woken` after the waker was used, whatever else is finished. A wake-up between
    ///   two waits ends the next one.
    @inlinable @inline(__always)
    public mutating func wait(minimum: Int = 1, deadline: IOInstant? = nil) -> IOWaitOutcome {
        unsafe core.pointee.wait(minimum: minimum, deadline: deadline)
    }

    /// Hands what was submitted to the kernel and waits until an event is finished, the waker is
    /// used or the deadline passes, also with nothing in flight: what a loop sleeps in that is fed
    /// by other threads.
    ///
    /// ```swift
    /// while !isStopped {
    ///     submitWhatOthersQueued(&loop)
    ///     loop.waitForAnything()
    ///     loop.run(minimum: 0)
    /// }
    /// ```
    ///
    /// With nothing in flight and no deadline only the waker ends it: somebody has to hold
    /// ``waker``.
    ///
    /// - Parameter deadline: On the driver's clock (``now``); nil: none.
    /// - Returns: `woken` after the waker was used, `ready` when events may be finished and after a
    ///   signal. A virtual clock that nothing could move on answers `failed` with EDEADLK.
    @discardableResult
    public mutating func waitForAnything(deadline: IOInstant? = nil) -> IOWaitOutcome {
        precondition(
            unsafe core.pointee.thread == ThreadIdentity.current,
            "a loop belongs to the thread that made it")
        return unsafe core.pointee.waitForAnything(true, deadline: deadline)
    }

    /// Hands what was submitted to the kernel, waits until at least `minimum` events are finished,
    /// and calls the callback of each that is. Callbacks may submit again.
    ///
    /// It returns earlier when the waker was used, when the deadline passed, when the driver
    /// failed, and when a signal ended a wait in which nothing finished. With nothing in flight it
    /// returns at once, unless there is a deadline; see ``wait(minimum:deadline:)``.
    ///
    /// - Parameters:
    ///   - minimum: Events to finish, unless fewer are in flight; 0: those finished already.
    ///   - deadline: On the driver's clock; nil: none.
    /// - Returns: How many events came to their callbacks, and how the last wait ended. After a
    ///   wake-up that is `woken`, so that the caller looks at what it was woken for. A wake-up ends
    ///   a wait for one event; a wait for more it may only shorten by one, because to the kernel it
    ///   is an event like any other.
    @inlinable @discardableResult
    public mutating func run(minimum: Int = 1, deadline: IOInstant? = nil) -> IORun {
        // A callback submits through this pointer, never through `self`: no access overlaps.
        let core = unsafe self.core
        let submitter = unsafe IOSubmitter<Callback>(target: UnsafeMutableRawPointer(core)) {
            target, event, limits in
            unsafe target.assumingMemoryBound(to: LoopCore<Callback, Driver>.self).pointee
                .submit(event, limits)
        }
        // Callbacks that submit what is refused at once would otherwise go on for ever.
        let most = unsafe max(minimum, 2 &* core.pointee.depth)
        var run = IORun(completed: 0, outcome: .ready)
        repeat {
            let parts = unsafe core.pointee.partsFinished
            run.outcome = unsafe core.pointee.wait(
                minimum: minimum &- run.completed, deadline: deadline)
            let before = run.completed
            unsafe core.pointee.readyQuota = -1
            var mayReap = true
            while run.completed < most, unsafe !core.pointee.life.pointee.isForked {
                if unsafe core.pointee.huskCount > 0 {
                    let start = unsafe core.pointee.callbackStart
                    unsafe core.pointee.takeHusk().complete(submitter)
                    if let start { unsafe core.pointee.noteCallback(since: start) }
                } else {
                    guard let number = unsafe core.pointee.nextFinished(&mayReap) else { break }
                    let start = unsafe core.pointee.callbackStart
                    unsafe LoopCore.complete(core, number, submitter)
                    if let start { unsafe core.pointee.noteCallback(since: start) }
                }
                run.completed &+= 1
            }
            // A signal: the caller looks. A mere part of an event, or its own limit, is no reason
            // to return.
            if unsafe run.completed == before && parts == core.pointee.partsFinished { break }
        } while unsafe run.outcome == .ready && run.completed < minimum
            && core.pointee.inFlight > 0
        return run
    }

    /// Takes no more events, waits until nothing is in flight, and calls every callback. Afterwards
    /// the loop takes events again, unless the driver is gone. Cost: as long as the slowest request in
    /// flight, those of abandoned events included. A wake-up meanwhile ends the next wait.
    @inlinable
    public mutating func drain() {
        unsafe core.pointee.isClosed = true
        unsafe core.pointee.settleAll()
        unsafe core.pointee.isClosed = core.pointee.isGone
    }
}

/// What becomes of an event that was looked at where it lies.
@frozen
public enum IODisposition: Sendable {
    /// Submit it again: from where it stopped, or from the start after ``IOEvent/restart(at:)``.
    /// What cannot be submitted comes back with its error, as from ``IOLoop/submit(_:)``; with
    /// ECANCELED once the driver is gone for good.
    case submitAgain
    /// Let it end: what it still owns is freed. Take out what is to be kept.
    case release
}

/// What one ``IOLoop/run(minimum:deadline:)`` did.
@frozen
public struct IORun: Equatable, Sendable {
    /// Events that were finished: called back, or submitted again by ``IOCallback/resubmits(_:)``.
    public var completed: Int
    /// How the last wait ended.
    public var outcome: IOWaitOutcome

    @inlinable
    init(completed: Int, outcome: IOWaitOutcome) {
        self.completed = completed
        self.outcome = outcome
    }
}

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Lets a finished event's callback submit it again where it lies, or calls it. The callback comes back
    /// in through the same pointer.
    @inlinable @inline(__always)
    static func complete(
        _ core: UnsafeMutablePointer<Self>, _ number: UInt32,
        _ submitter: borrowing IOSubmitter<Callback>
    ) {
        unsafe core.pointee.conclude(number)
        let stay = unsafe core.pointee.stayForNow(number)
        let event = unsafe core.pointee.slots.event(number)
        let goesRound = unsafe !core.pointee.isClosed && Callback.resubmits(&event.pointee)
        // If it has forked and this is the child, the loop does nothing any more.
        if unsafe core.pointee.life.pointee.isForked { return }
        if goesRound {
            unsafe core.pointee.enrolAgain(number, stay)
        } else {
            unsafe core.pointee.takeOut(number, stay).complete(submitter)
        }
    }

    /// Now, where it is measured how long callbacks take.
    @inlinable @inline(__always)
    var callbackStart: IOInstant? { latencies == nil ? nil : driver.now() }

    @usableFromInline
    mutating func noteCallback(since start: IOInstant) {
        let took = driver.now().nanoseconds(since: start)
        if took > statistics.longestCallbackNanoseconds {
            statistics.longestCallbackNanoseconds = took
        }
    }
}
