/// Ends a driver's wait from another thread.
///
/// Safe to keep and to use after the driver is gone: it then does nothing. Several wake-ups may
/// become one, and a wake-up that comes before the wait ends that wait at once.
public struct IOWaker: Sendable {
    private let body: @Sendable () -> Void

    /// For implementers. `body` is called on any thread, at any time, also after the driver's end.
    public init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// A waker for drivers that never wait.
    public static var none: IOWaker { IOWaker {} }

    /// Ends the wait that is going on, or the next one.
    public func wake() { body() }
}
