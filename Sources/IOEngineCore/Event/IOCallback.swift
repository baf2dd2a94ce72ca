/// Receives a finished event, exactly once.
///
/// A struct or an enum needs no allocation; for several kinds of callback on one loop use an enum.
/// Ready-made: ``ClosureCallback`` for a closure, ``NoCallback`` for loops that are only pulled with
/// ``IOLoop/next()``.
///
/// ```swift
/// struct Checksum: IOCallback {
///     let block: Int
///     consuming func call(_ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>) {
///         if case .success(let bytes) = event.result { print(block, bytes) }
///     }
/// }
/// ```
///
/// A callback cannot throw; a trap in it ends the process. While it runs on a loop, that loop's IO
/// stands still, so keep it short.
public protocol IOCallback: ~Copyable, Sendable {
    /// Called once with the finished event, which carries the result and the buffer.
    ///
    /// - Parameter submitter: Submits further events, or this one again, to where it came from. It
    ///   cannot leave the callback. The first submission always finds room.
    consuming func call(
        _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>)

    /// Looks at a finished event where it lies, before ``call(_:_:)``. True: it is submitted again as it
    /// now is, without being moved, and finishes another time: the cheapest way to keep a queue busy.
    /// False: `call` gets it.
    ///
    /// ```swift
    /// static func resubmits(_ event: inout IOEvent<Self>) -> Bool {
    ///     guard event.errno == nil, let next = event.callback?.nextOffset() else { return false }
    ///     event.restart(at: next)
    ///     return true
    /// }
    /// ```
    ///
    /// The callback itself lies in `event.callback`. Start the event anew
    /// (``IOEvent/restart(at:)``) or continue one that was handed over short; one that is done is
    /// refused, and asked for again in the next round. It has no ``IOLimits`` then, and no ticket
    /// that anybody learns.
    ///
    /// Asked where callbacks run on the loop's thread, while nothing shuts down, and for events that had
    /// a slot and were not abandoned. An event that then cannot be submitted any more goes to `call` with
    /// ECANCELED. Default: false.
    static func resubmits(_ event: inout IOEvent<Self>) -> Bool
}

extension IOCallback where Self: ~Copyable {
    @inlinable @inline(__always)
    public static func resubmits(_ event: inout IOEvent<Self>) -> Bool { false }
}

/// A callback that is a closure. Costs the closure's own allocation, if it captures anything.
@frozen
public struct ClosureCallback: IOCallback {
    @usableFromInline
    let body:
        @Sendable (consuming IOEvent<ClosureCallback>, borrowing IOSubmitter<ClosureCallback>) ->
            Void

    /// - Parameter body: Gets the finished event and a submitter.
    @inlinable
    public init(
        _ body:
            @escaping @Sendable (
                consuming IOEvent<ClosureCallback>, borrowing IOSubmitter<ClosureCallback>
            ) -> Void
    ) {
        self.body = body
    }

    /// - Parameter body: Gets the finished event.
    @inlinable
    public init(_ body: @escaping @Sendable (consuming IOEvent<ClosureCallback>) -> Void) {
        self.body = { event, _ in body(event) }
    }

    @inlinable
    public consuming func call(
        _ event: consuming IOEvent<ClosureCallback>,
        _ submitter: borrowing IOSubmitter<ClosureCallback>
    ) {
        body(event, submitter)
    }
}

/// For loops that are pulled with ``IOLoop/next()``: does nothing.
@frozen
public struct NoCallback: IOCallback {
    @inlinable public init() {}

    @inlinable
    public consuming func call(
        _ event: consuming IOEvent<NoCallback>, _ submitter: borrowing IOSubmitter<NoCallback>
    ) {}
}
