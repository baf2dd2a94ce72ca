/// What became of handing a request to a driver. A full queue is an outcome, not an error.
@frozen
public enum IOStaging: Equatable, Sendable {
    /// The driver has it: exactly one completion with its token will come.
    case queued
    /// No room: nothing happened. Submit, reap, then try again.
    case full
}

/// How a wait ended. It does not say whether completions are there: look.
@frozen
public enum IOWaitOutcome: Equatable, Sendable {
    /// Completions may be there, or a signal came.
    case ready
    /// The waker was used. Completions may be there as well.
    ///
    /// This answer, and nothing else, uses a wake-up up: whoever receives it does what the wake-up
    /// was for, or passes the answer on.
    case woken
    /// The deadline passed first.
    case deadlinePassed
    /// The driver cannot go on; the number is a positive errno. Nothing that was staged is lost: it
    /// is still staged or in flight.
    case failed(errno: Int32)
}

/// What became of asking a driver to register memory or a descriptor with its kernel interface.
@frozen
public enum IORegistration: Equatable, Sendable {
    /// Registered. For a descriptor the index that requests carry; 0 for memory.
    case registered(index: Int32)
    /// Not registered, everything works without. The number is a positive errno; ENOMEM mostly means
    /// that RLIMIT_MEMLOCK is too small, EOPNOTSUPP that this driver has no registration.
    case unavailable(errno: Int32)
}

/// What became of asking for a request, or an event, to be stopped. Whatever this says, exactly one
/// completion or callback still comes and tells the verdict: a success stays a success.
@frozen
public enum IOCancellation: Equatable, Sendable {
    /// It had not begun and never will: it ends with ECANCELED, and the kernel saw nothing of it.
    case cancelled
    /// It is under way and was asked to stop. It may still succeed, in whole or in part.
    case requested
    /// It cannot be stopped, or is finished already: it ends as if nobody had asked.
    case tooLate
    /// Nothing of that name is in flight.
    case unknown
}
