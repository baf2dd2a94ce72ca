internal import Glibc
internal import SystemPackage

/// A thread of a test's own. Join it exactly once.
public final class TestThread: Sendable {
    private let thread: pthread_t

    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body`.
    public init(_ body: @escaping @Sendable () -> Void) throws {
        let box = unsafe Unmanaged.passRetained(Box(body)).toOpaque()
        var thread = pthread_t()
        let answer = unsafe pthread_create(
            &thread, nil,
            { box in
                unsafe Unmanaged<Box>.fromOpaque(box.unsafelyUnwrapped).takeRetainedValue().body()
                return nil
            }, box)
        if answer != 0 { throw Errno(rawValue: answer) }
        self.thread = thread
    }

    /// Waits for its end.
    public func join() { pthread_join(thread, nil) }
}
