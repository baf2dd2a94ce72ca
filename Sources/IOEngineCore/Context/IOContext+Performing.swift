internal import Synchronization
internal import SystemPackage

extension IOContext where Callback: IOAwaitableCallback & ~Copyable, Driver: ~Copyable {
    /// Submits an event and waits, without blocking a thread, until it has finished.
    ///
    /// ```swift
    /// for block in 0..<count {
    ///     let event = try await context.perform(
    ///         .read(file, into: IOBuffer(capacity: 4096), at: Int64(block) * 4096))
    ///     checksum(event.buffer.bytes)
    /// }
    /// ```
    ///
    /// Use it instead of a continuation of your own around ``submit(_:_:)``: optimised builds of Swift 6.2
    /// and 6.3 crash where `withUnsafeContinuation` or `withCheckedContinuation` stands in a loop and its
    /// closure begins with a check that may trap, such as `Int64(block) * 4096` or `blocks[i]`. Here the
    /// continuation stands in a function without a loop that is never inlined.
    ///
    /// To perform an event again, give what comes back a new name (`let again = …`): debug builds of Swift
    /// 6.3.1 do not free what is assigned back to the variable that was consumed.
    ///
    /// Works from any task. Cheapest is a task on the context's own thread
    /// (`Task(executorPreference: context)`): nothing then changes threads. Waits for room where there is
    /// none, in the order of submission, and holds up no thread meanwhile.
    ///
    /// When the task is cancelled, the event is cancelled as by ``requestCancel(_:)``, and returns as soon as
    /// it has settled: with ECANCELED, or with success where it was too late. If the task was cancelled
    /// before, the event returns with ECANCELED and was not submitted.
    ///
    /// - Parameters:
    ///   - event: An event without a callback.
    ///   - limits: Its deadline, and whether it may be given up; then it returns without its memory.
    /// - Returns: The finished event, with its result and its buffer. An operation that failed is no error
    ///   of this function: look at ``IOEvent/result`` or call ``IOEvent/get()``.
    ///
    /// Throws ECANCELED when the context does not take the event: after a shutdown, and in a forked child. The
    /// event and its buffer end then.
    @inlinable @inline(never)
    public nonisolated(nonsending) func perform(
        _ event: consuming IOEvent<Callback>, limits: IOLimits = .none
    ) async throws(IOError) -> IOEvent<Callback> {
        precondition(event.hasNoCallback, "perform(_:limits:) sets the event's callback")
        if Task.isCancelled {
            event.markCancelled()
            return event
        }
        let awaited = AwaitedPlace(event)
        await withTaskCancellationHandler {
            await unsafe withUnsafeContinuation { continuation in
                unsafe begin(awaited, continuation, limits)
            }
        } onCancel: {
            if let ticket = awaited.noteCancellation() { requestCancel(ticket) }
        }
        return try result(of: awaited)
    }

    @inlinable
    func begin(
        _ awaited: AwaitedPlace<Callback>, _ continuation: UnsafeContinuation<Void, Never>,
        _ limits: IOLimits
    ) {
        unsafe awaited.address.pointee.continuation = continuation
        guard var event = unsafe awaited.address.pointee.event.take() else { return }
        event.callback = Callback(resuming: IOAwaiter(awaited))
        switch submitForTask(event, limits) {
        case .accepted(let ticket):
            if awaited.note(ticket) { requestCancel(ticket) }
        case .full(let event): awaited.refuse(event)
        case .closed(let event): awaited.refuse(event)
        }
    }

    @inlinable
    func result(
        of awaited: AwaitedPlace<Callback>
    ) throws(IOError) -> IOEvent<Callback> {
        let isRefused = awaited.isRefused
        guard let event = awaited.end() else { throw .droppedAwaiter }
        if isRefused { throw refusal(of: event) }
        return event
    }

    @usableFromInline
    func refusal(of event: borrowing IOEvent<Callback>) -> IOError {
        if shared.isForked {
            return IOError(
                IOFailure(errno: Errnos.canceled, reason: .forked), action: event.action,
                descriptor: event.descriptor, offset: event.offset, length: event.length,
                transferred: 0)
        }
        return IOError(
            operation: .event(event.action), descriptor: event.descriptor, offset: event.offset,
            length: event.length, errno: .canceled,
            advice: "the context was shut down or its driver is gone; end the tasks that use a "
                + "context before it, or make a new one")
    }

    /// Takes an event whose submitter waits without blocking: never answers full, because each task has one.
    @inlinable
    func submitForTask(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        if shared.isOnLoop {
            guard let side = unsafe shared.loopSide else { return .closed(event) }
            return unsafe side.assumingMemoryBound(to: ContextLoop<Callback, Driver>.self).pointee
                .submitForTask(event, limits)
        }
        if shared.isForked { return .closed(event) }
        switch shared.queue.claim(1) {
        case .position(let position):
            shared.queue.fill(position, QueuedEvent(event, limits))
            shared.wake()
            return .accepted(IOTicket(queued: position))
        case .closed: return .closed(event)
        case .full: return shared.parkForTask(event, limits)
        }
    }
}

extension IOError {
    @usableFromInline
    static var droppedAwaiter: IOError {
        IOError(
            operation: .setUp, errno: .canceled,
            advice: "the callback dropped its awaiter; resume it with the finished event in call")
    }
}

extension IOEvent where Callback: ~Copyable {
    @inlinable var hasNoCallback: Bool {
        switch callback {
        case .none: true
        case .some: false
        }
    }

    /// Makes it one that was cancelled before it began.
    @usableFromInline
    mutating func markCancelled() {
        clearOutcome()
        failure = .cancelled
        status.insert(.done)
    }
}

extension ContextLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Takes a task's event on the loop's own thread; parks it where there is no room.
    @inlinable
    mutating func submitForTask(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        let right = hasRight
        hasRight = true
        defer { hasRight = right }
        return submit(event, limits)
    }
}
