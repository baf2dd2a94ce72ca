internal import Synchronization
public import SystemPackage

extension IOContext where Callback: ~Copyable, Driver: ~Copyable {
    // MARK: Cancelling

    /// Asks for an event to be stopped. Its callback still runs, once it has settled: with
    /// ECANCELED, or with success where it was done before. What it moved until then is in
    /// `transferred`; a cancelled write may have changed more of the file than that. The answer
    /// `tooLate` promises that the event ends as if nobody had asked.
    ///
    /// Waits for the loop's answer, as long as its callbacks take; so hold no lock that a callback takes.
    /// Where that is not wanted, use ``requestCancel(_:)``. On another thread of the engine's it does not
    /// wait and answers `requested`, whatever becomes of it. An event whose callback runs, or has run, is
    /// `unknown`.
    @discardableResult
    public func cancel(_ ticket: IOTicket) -> IOCancellation {
        if shared.isForked { return .unknown }
        if shared.isOnLoop, let side = unsafe shared.loopSide {
            return unsafe ContextLoop<Callback, Driver>.cancel(
                ticket, side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self))
        }
        if EngineThread.isCurrentOurs {
            return shared.send(.cancel(ticket, nil)) ? .requested : .unknown
        }
        let reply = Reply<IOCancellation>()
        guard shared.send(.cancel(ticket, reply)) else { return .unknown }
        return reply.wait() ?? .unknown
    }

    /// Asks for an event to be stopped, as ``cancel(_:)`` does, and returns at once on every thread. For
    /// places that must not wait, such as the handler of a task's cancellation.
    public func requestCancel(_ ticket: IOTicket) {
        if shared.isForked { return }
        if shared.isOnLoop, let side = unsafe shared.loopSide {
            _ = unsafe ContextLoop<Callback, Driver>.cancel(
                ticket, side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self))
        } else {
            _ = shared.send(.cancel(ticket, nil))
        }
    }

    /// Asks for every event of a descriptor to be stopped, also those that have no slot yet. Events of
    /// another owner of the same number, such as a file that was opened after this one was closed, are
    /// left alone.
    ///
    /// Waits for the loop to have asked, not for the events to settle: for that, ``drain()`` or
    /// ``close(_:)``. On another thread of the engine's it does not wait.
    ///
    /// - Returns: How many events there were; 0 where it did not wait.
    @discardableResult
    public func cancelAll(_ descriptor: IODescriptor) -> Int {
        cancelAll(.object(descriptor))
    }

    /// Asks for every event of a plain descriptor to be stopped, also those that have no slot yet.
    /// Events of an ``IODescriptor`` with the same number are left alone. Waits as
    /// ``cancelAll(_:)-(IODescriptor)`` does.
    ///
    /// - Returns: How many events there were; 0 where it did not wait.
    @discardableResult
    public func cancelAll(_ descriptor: FileDescriptor) -> Int {
        cancelAll(.number(descriptor.rawValue))
    }

    /// Asks for every event to be stopped.
    @discardableResult
    public func cancelAll() -> Int { cancelAll(.all) }

    private func cancelAll(_ scope: EventScope) -> Int {
        if shared.isForked { return 0 }
        if shared.isOnLoop, let side = unsafe shared.loopSide {
            return unsafe ContextLoop<Callback, Driver>.cancelAll(
                scope, side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self))
        }
        if EngineThread.isCurrentOurs {
            _ = shared.send(.cancelAll(scope, nil))
            return 0
        }
        let reply = Reply<Int>()
        guard shared.send(.cancelAll(scope, reply)) else { return 0 }
        return reply.wait() ?? 0
    }

    // MARK: Waiting

    /// Waits until everything accepted before has settled and its callback has returned. What is
    /// submitted meanwhile is neither held up nor waited for.
    ///
    /// Throws EDEADLK on a thread of the engine's, which would wait for itself.
    public func drain() throws(IOError) {
        try refuseOnOurThreads(.drain, "drain the context")
        let reply = Reply<Bool>()
        if !shared.isForked, shared.send(.drain(fence: shared.queue.end, reply)) {
            _ = reply.wait()
        }
    }

    /// Closes a descriptor when everything accepted before, here and on other loops, has settled, and
    /// waits for that. Events submitted later are answered with EBADF.
    ///
    /// Throws EBADF when it was closed before, what `close(2)` answered, and EDEADLK on a thread of the engine's, which would wait
    /// for itself: call ``IODescriptor/close()`` there, which does not wait.
    public func close(_ descriptor: IODescriptor) throws(IOError) {
        try refuseOnOurThreads(.close, "close a descriptor and wait")
        let reply = Reply<Bool>()
        let isOurs: Bool
        if !shared.isForked, shared.send(.close(descriptor, fence: shared.queue.end, reply)) {
            isOurs = reply.wait() ?? false
        } else {
            isOurs = descriptor.closeOnce()
        }
        guard isOurs else {
            throw IOError(
                operation: .close, descriptor: descriptor.rawValue, errno: .badFileDescriptor,
                advice: "the descriptor was closed before; close it once")
        }
        descriptor.waitUntilClosed()
        if let error = descriptor.closingError { throw error }
    }

    private func refuseOnOurThreads(
        _ operation: IOError.Operation, _ what: String
    ) throws(IOError) {
        guard shared.isOnLoop || EngineThread.isCurrentOurs else { return }
        throw IOError(
            operation: operation, errno: .deadlock,
            advice: "a loop's or worker's thread cannot \(what): it would wait for itself; "
                + "do it on another thread")
    }

    // MARK: Looking

    /// What the context is doing. Waits for the loop's answer, but no longer than `patience`: a loop that
    /// a callback keeps busy is told by `isResponsive`, and the counters are then the last that it published.
    /// After the end, the last snapshot stays, with `hasEnded`. In a callback on the loop's own thread it
    /// answers at once.
    public func snapshot(patience: Duration = .milliseconds(100)) -> IOContextSnapshot {
        if shared.isOnLoop, let side = unsafe shared.loopSide {
            return unsafe side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self).pointee
                .snapshot()
        }
        return shared.snapshot(patience)
    }

    /// Requests to the loop that it has not read.
    package var lettersWaiting: Int { shared.mail.withLock { $0.count } }

    // MARK: Plain descriptors

    /// Drops what the loop knows of a descriptor number, a failed sync included. Call it when you close a
    /// plain descriptor. Waits for the loop; false: events of it are in flight, or this is a thread of
    /// the engine's, and nothing happened.
    @discardableResult
    public func forget(_ descriptor: FileDescriptor) -> Bool {
        forget(descriptor, onlySyncError: false)
    }

    /// Says that what an earlier, failed sync of this plain descriptor lost was written again or is
    /// not needed. Waits for the loop; false on a thread of the engine's. True does not say that there was
    /// an error. What an ``IODescriptor`` with this number keeps is cleared by its own
    /// ``IODescriptor/clearSyncError()`` only.
    @discardableResult
    public func clearSyncError(_ descriptor: FileDescriptor) -> Bool {
        forget(descriptor, onlySyncError: true)
    }

    private func forget(_ descriptor: FileDescriptor, onlySyncError: Bool) -> Bool {
        if EngineThread.isCurrentOurs || shared.isForked || descriptor.rawValue < 0 { return false }
        let reply = Reply<Bool>()
        guard
            shared.send(.forget(descriptor.rawValue, onlySyncError: onlySyncError, reply))
        else { return true }
        return reply.wait() ?? false
    }

    // MARK: Registration

    /// Registers a pool's memory with the driver; see ``IOLoop/register(_:)-(IOBufferPool)``. Waits for
    /// the loop; EDEADLK on a thread of the engine's.
    public func register(_ pool: IOBufferPool) -> IORegistration {
        registerAndWait { .registerPool(pool, $0) }
    }

    /// Registers a descriptor with the driver; see ``IOLoop/register(_:)-(IODescriptor)``. Waits for the
    /// loop; EDEADLK on a thread of the engine's.
    public func register(_ descriptor: IODescriptor) -> IORegistration {
        registerAndWait { .registerDescriptor(descriptor, $0) }
    }

    private func registerAndWait(
        _ letter: (Reply<IORegistration>) -> ContextLetter
    ) -> IORegistration {
        if EngineThread.isCurrentOurs {
            return .unavailable(errno: Errno.deadlock.rawValue)
        }
        let reply = Reply<IORegistration>()
        guard !shared.isForked, shared.send(letter(reply)) else {
            return .unavailable(errno: Errno.canceled.rawValue)
        }
        return reply.wait() ?? .unavailable(errno: Errno.canceled.rawValue)
    }
}
