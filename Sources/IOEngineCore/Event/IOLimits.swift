/// How long an event may take, and whether it may be given up.
///
/// ```swift
/// let limits = IOLimits(deadline: loop.now.advanced(by: .seconds(2)), abandonAfter: .seconds(10))
/// _ = loop.submit(event, limits)
/// ```
///
/// A limit costs about 50 ns an event and no allocation.
@frozen
public struct IOLimits: Hashable, Sendable {
    @usableFromInline var deadlineNanoseconds: Int64
    @usableFromInline var abandonNanoseconds: Int64

    /// - Parameters:
    ///   - deadline: On the driver's clock (``IOLoop/now``, ``IOInstant/monotonic()`` for real
    ///     drivers). When it passes, the event is stopped as by a cancellation: it comes back, with
    ///     ETIMEDOUT, as soon as the kernel has let go of its memory. An event whose deadline has passed
    ///     when it gets its place in the loop is not begun, and the driver does not see it. Nil: none.
    ///   - abandonAfter: How long to wait, after a cancellation or the deadline, for a request that
    ///     cannot be stopped. Then the event comes back without its memory, `isSettled` false; slot,
    ///     memory and descriptor stay charged until the kernel's completion. Nil: waits for ever, which
    ///     is the default, because the buffer then always comes back.
    public init(deadline: IOInstant? = nil, abandonAfter: Duration? = nil) {
        deadlineNanoseconds = deadline?.nanoseconds ?? .max
        abandonNanoseconds =
            abandonAfter.map {
                max(0, IOInstant(nanoseconds: 0).advanced(by: $0).nanoseconds)
            } ?? .max
    }

    /// No limits.
    @inlinable public static var none: IOLimits { IOLimits(unlimited: ()) }

    @inlinable
    init(unlimited: Void) {
        deadlineNanoseconds = .max
        abandonNanoseconds = .max
    }

    /// When the event is stopped; nil: never.
    public var deadline: IOInstant? {
        deadlineNanoseconds == .max ? nil : IOInstant(nanoseconds: deadlineNanoseconds)
    }

    /// How long after that it is given up; nil: never.
    public var abandonAfter: Duration? {
        abandonNanoseconds == .max ? nil : .nanoseconds(abandonNanoseconds)
    }

    @inlinable var isNone: Bool { deadlineNanoseconds == .max && abandonNanoseconds == .max }
}
