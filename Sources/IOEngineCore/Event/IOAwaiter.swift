public import Synchronization

/// A callback that tasks can await, with ``IOContext/perform(_:limits:)``.
///
/// Ready-made: ``TaskCallback`` for contexts that only tasks use, and ``ClosureCallback``. A type of your own
/// keeps the awaiter and hands it the finished event:
///
/// ```swift
/// enum StoreCallback: ~Copyable, IOAwaitableCallback {
///     case checkpoint(Int)
///     case task(IOAwaiter<StoreCallback>)
///
///     init(resuming awaiter: consuming IOAwaiter<StoreCallback>) { self = .task(awaiter) }
///
///     consuming func call(
///         _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
///     ) {
///         switch consume self {
///         case .checkpoint(let number): noteCheckpoint(number, event.result)
///         case .task(let awaiter): awaiter.resume(returning: event)
///         }
///     }
/// }
/// ```
public protocol IOAwaitableCallback: IOCallback, ~Copyable {
    /// Makes the callback of an event that a task awaits.
    ///
    /// - Parameter awaiter: Takes the finished event in ``IOCallback/call(_:_:)``.
    init(resuming awaiter: consuming IOAwaiter<Self>)
}

/// Hands one finished event to the task that awaits it.
///
/// Cannot be copied, so the task is resumed once: with the event, or, where the awaiter is dropped, with an
/// error.
@safe @frozen
public struct IOAwaiter<Callback: IOCallback & ~Copyable>: ~Copyable, @unchecked Sendable {
    // Unchecked: whoever has the awaiter may write to the place; the task looks there once it is resumed.
    @usableFromInline let place: UnsafeMutablePointer<AwaitedEvent<Callback>>

    @inlinable
    init(_ place: AwaitedPlace<Callback>) { unsafe self.place = place.address }

    /// Gives the task its event. The task goes on on its own executor, not inside this call.
    @inlinable
    public consuming func resume(returning event: consuming IOEvent<Callback>) {
        let place = unsafe self.place
        discard self
        unsafe place.pointee.event = consume event
        unsafe place.pointee.resume()
    }

    @inlinable
    deinit { unsafe place.pointee.resume() }
}

/// What a task and the engine share while the task awaits an event.
@safe @frozen @usableFromInline
struct AwaitedEvent<Callback: IOCallback & ~Copyable>: ~Copyable {
    /// The event before it is submitted, and once it is finished or was refused.
    @usableFromInline var event: IOEvent<Callback>?
    @usableFromInline var continuation: UnsafeContinuation<Void, Never>?
    @usableFromInline var isRefused = false
    /// Written before `progress` says so.
    @usableFromInline var ticket = IOTicket(rawValue: 0)
    @usableFromInline let progress = Atomic<UInt8>(0)

    /// In `progress`: the event was accepted, and its ticket can be read.
    @inlinable static var accepted: UInt8 { 1 }
    /// In `progress`: the task was cancelled.
    @inlinable static var cancelled: UInt8 { 2 }

    @inlinable
    init(_ event: consuming IOEvent<Callback>) { self.event = consume event }

    /// The place belongs to the task from here on, which may free it at once.
    @inlinable
    func resume() { unsafe continuation?.resume() }
}

/// The place of an ``AwaitedEvent``. Allocated and freed by the task.
@safe @frozen @usableFromInline
struct AwaitedPlace<Callback: IOCallback & ~Copyable>: @unchecked Sendable {
    // Unchecked: the task writes before it submits and reads after it was resumed, the engine in between; the
    // cancellation of the task only touches what is atomic, and the ticket behind it.
    @usableFromInline let address: UnsafeMutablePointer<AwaitedEvent<Callback>>

    @inlinable
    init(_ event: consuming IOEvent<Callback>) {
        unsafe address = .allocate(capacity: 1)
        unsafe address.initialize(to: AwaitedEvent(event))
    }

    /// What the engine did not take comes back here, and the task is resumed.
    @inlinable
    func refuse(_ event: consuming IOEvent<Callback>) {
        let callback = event.callback.take()
        unsafe address.pointee.isRefused = true
        unsafe address.pointee.event = consume event
        // Its awaiter resumes the task.
        _ = consume callback
    }

    /// The event was accepted. True: the task was cancelled before, so the caller cancels the event.
    @inlinable
    func note(_ ticket: IOTicket) -> Bool {
        unsafe address.pointee.ticket = ticket
        // Release: pairs with the acquire below. Of the two, the second sees the first.
        let before = unsafe address.pointee.progress.bitwiseOr(
            AwaitedEvent<Callback>.accepted, ordering: .acquiringAndReleasing
        ).oldValue
        return before & AwaitedEvent<Callback>.cancelled != 0
    }

    /// The task was cancelled. Returns the ticket of the event if it was accepted before.
    @inlinable
    func noteCancellation() -> IOTicket? {
        let before = unsafe address.pointee.progress.bitwiseOr(
            AwaitedEvent<Callback>.cancelled, ordering: .acquiringAndReleasing
        ).oldValue
        return before & AwaitedEvent<Callback>.accepted != 0 ? unsafe address.pointee.ticket : nil
    }

    @inlinable var isRefused: Bool { unsafe address.pointee.isRefused }

    /// Frees the place and returns the event. Nil: its callback dropped the awaiter.
    @inlinable
    func end() -> IOEvent<Callback>? {
        let event = unsafe address.pointee.event.take()
        unsafe address.deinitialize(count: 1)
        unsafe address.deallocate()
        return event
    }
}
