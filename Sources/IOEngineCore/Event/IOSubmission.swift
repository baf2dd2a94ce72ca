/// What became of a submission.
///
/// Either the engine has the event, and its callback runs exactly once. Or the event comes back,
/// uncalled and unchanged. A bad event (negative offset, closed descriptor …) is accepted, and its
/// error arrives through the callback.
@frozen
public enum IOSubmission<Callback: IOCallback & ~Copyable>: ~Copyable, Sendable {
    /// The engine has it.
    case accepted(IOTicket)
    /// The queue is full. Let some events finish, then submit again.
    case full(IOEvent<Callback>)
    /// The engine takes nothing any more: it is shutting down.
    case closed(IOEvent<Callback>)

    /// Whether the engine has the event.
    @inlinable
    public var isAccepted: Bool {
        switch self {
        case .accepted: true
        case .full: false
        case .closed: false
        }
    }
}

/// Submits from inside a callback. Cannot be kept: it ends with the callback.
@safe @frozen
public struct IOSubmitter<Callback: IOCallback & ~Copyable>: ~Copyable, ~Escapable {
    /// What `body` works on: the loop, which outlives each callback that it runs.
    @usableFromInline let target: UnsafeMutableRawPointer
    @usableFromInline let body:
        (UnsafeMutableRawPointer, consuming IOEvent<Callback>, IOLimits) -> IOSubmission<Callback>

    @inlinable @_lifetime(immortal)
    init(
        target: UnsafeMutableRawPointer,
        body:
            @escaping (UnsafeMutableRawPointer, consuming IOEvent<Callback>, IOLimits) ->
            IOSubmission<Callback>
    ) {
        unsafe self.target = target
        unsafe self.body = body
    }

    /// Hands an event to where this callback's event came from. Never blocks: the first submission of
    /// a callback finds room, further ones may come back full.
    @inlinable
    public borrowing func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits = .none
    ) -> IOSubmission<Callback> {
        unsafe body(target, event, limits)
    }
}
