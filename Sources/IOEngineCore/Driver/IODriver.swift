public import SystemPackage

/// A queue pair: requests go in, completions come out. The engine's extension point.
///
/// ## For callers
/// You seldom call a driver yourself: an ``IOLoop`` does, and puts every policy on top (short
/// transfers, retries, splitting, errors with advice). Create a driver on the thread that drives the
/// loop, then hand it over:
///
/// ```swift
/// var loop = try IOLoop<MyCallback, URingDriver>(depth: 32, driver: try URingDriver(depth: 32))
/// ```
///
/// ## For implementers
/// A driver moves requests and knows nothing of callbacks, buffers or policy. It has one owner and
/// one thread; only its waker may be used from others. The duties:
///
/// - **stage** takes one request without doing it yet, or says `full` and does nothing. Having
///   answered `queued`, the driver owes exactly one completion with that token, whatever happens.
///   What is finished and not reaped counts towards the depth.
/// - **flags** are honoured or answered with EOPNOTSUPP, never left out. `priority` may be refused in
///   the same way; `mayBlock`, registered places and traits are hints.
/// - **submit** hands on everything staged, then waits until at least `minimum` completions can be
///   reaped, a deadline passes, or the waker is used: in one system call where the kernel has that.
///   `minimum` is a goal, and fewer completions may be there when it returns; a wake-up counts as one,
///   and a signal may end the wait.
///   With nothing in flight it waits for the deadline or the waker. It never throws.
/// - **wake-ups** are told: after the waker was used, a `submit` with a `minimum` above 0 answers
///   ``IOWaitOutcome/woken``, the one that goes on or one of the next, also where completions alone
///   would have ended it. Several wake-ups may become one answer. Nothing else uses a wake-up up:
///   not a `submit` for 0, not a `reap`, not an answer that says something else. A layer passes the
///   answer on at once, even if it wanted to wait longer, and then has nothing to remember.
/// - **reap** moves finished requests out, as many as the span has room for, without waiting.
/// - Addresses, vectors and descriptors of a request stay valid until its completion is reaped, and
///   not a moment longer.
/// - Results follow `preadv2(2)`: bytes moved, or a negative errno. End of file is 0. A driver never
///   retries and never continues a short transfer: the loop does.
/// - A driver that is gone for good answers ENOTRECOVERABLE to every request, which no file gives: the
///   loop then closes.
/// - Requests in flight together have no order.
/// - A sync covers what had completed when it was staged.
/// - Dropping the driver with requests in flight must not let anyone write to their memory
///   afterwards: settle or cancel them first, or keep what they need alive for ever.
///
/// Everything but ``stage(_:)``, ``submit(minimum:deadline:)`` and ``reap(into:)`` has a default.
public protocol IODriver: ~Copyable, SendableMetatype {
    /// What the driver can do. Default: the type's name, no vectors, depth up to 65,536. Read once by
    /// the loop, so it may be slow.
    var capabilities: IOCapabilities { get }

    /// What the driver counts. Default: zeros.
    var counters: IODriverCounters { get }

    /// Ends a wait from another thread, which then answers ``IOWaitOutcome/woken``. Default: does
    /// nothing, which is right only for a driver whose `submit` never waits.
    var waker: IOWaker { get }

    /// The loop's clock. Default: CLOCK_MONOTONIC. A virtual clock stands still between calls of
    /// `submit`, which moves it to the next completion or the deadline, whichever is first.
    func now() -> IOInstant

    /// The same clock, cheaper to read and a few milliseconds behind at most; for ages, not for deadlines.
    /// Default: ``now()``.
    func coarseNow() -> IOInstant

    /// Takes one request. Cheap, no system call.
    mutating func stage(_ request: IORequest) -> IOStaging

    /// Hands on what is staged and waits.
    ///
    /// - Parameters:
    ///   - minimum: Completions to wait for; 0: do not wait.
    ///   - deadline: On the clock of ``now()``; nil: none.
    mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome

    /// Moves finished requests into `completions` until it is full or nothing is finished.
    mutating func reap(into completions: inout OutputSpan<IOCompletion>)

    /// Asks for a request to be stopped. Does not wait. Its own completion still comes and says what
    /// became of it: ECANCELED, or its real result.
    ///
    /// - Returns: `requested` when the completion will tell, `tooLate` when the request runs to its
    ///   end all the same, `cancelled` only if it was never begun, `unknown` for a token that is not in
    ///   flight. Default: `tooLate`, and nothing happens.
    @discardableResult
    mutating func cancel(_ token: IOToken) -> IOCancellation

    /// The loop is about to wait for what is staged, because of a sync, a drain, a cancellation, a
    /// deadline or a shutdown: a layer that holds requests back to join them hands them down now.
    /// Default: does nothing, which is right for a driver that holds nothing back.
    mutating func hasten()

    /// What kind of file a descriptor is, how large, what alignment it needs. Called once for each
    /// descriptor and on error paths. Default: asks the kernel (`fstat`, `fcntl`, `lseek`, `statx`).
    /// A driver whose descriptors the kernel does not know answers for them here.
    func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts

    /// Registers memory so that requests which lie in region `i` may carry
    /// ``IORequest/registeredRegion`` `i`. At most one set at a time; an empty set ends it.
    /// Default: EOPNOTSUPP.
    @unsafe
    mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration

    /// Registers a descriptor; requests then carry the index as ``IORequest/registeredDescriptor``.
    /// Default: EOPNOTSUPP.
    mutating func register(descriptor: Int32) -> IORegistration

    /// Ends a descriptor's registration. Only called with nothing in flight on it.
    mutating func unregister(descriptorIndex: Int32)
}

extension IODriver where Self: ~Copyable {
    public var capabilities: IOCapabilities { IOCapabilities(name: String(describing: Self.self)) }
    @inlinable public var counters: IODriverCounters { IODriverCounters() }
    public var waker: IOWaker { .none }
    @inlinable public func now() -> IOInstant { .monotonic() }
    @inlinable public func coarseNow() -> IOInstant { now() }
    @discardableResult
    @inlinable public mutating func cancel(_ token: IOToken) -> IOCancellation { .tooLate }
    @inlinable public mutating func hasten() {}

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        try IODescriptorFacts(of: descriptor)
    }

    @unsafe
    public mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration {
        .unavailable(errno: Errno.notSupported.rawValue)
    }

    public mutating func register(descriptor: Int32) -> IORegistration {
        .unavailable(errno: Errno.notSupported.rawValue)
    }

    public mutating func unregister(descriptorIndex: Int32) {}
}
