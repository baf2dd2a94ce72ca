internal import CLinux
internal import Glibc

/// A thread that ends by itself and that nobody joins.
package enum HelperThread {
    /// Bytes of stack: system calls and little else. Only what is touched takes memory.
    private static let stackSize = 512 << 10

    /// What `pthread_create` can carry: its C function must not be generic.
    private final class Start {
        let name: String
        let body: @Sendable () -> Void

        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Runs `body` on a new thread with every signal blocked, so that signals go to the program's own
    /// threads and SIGXFSZ ends nothing. Costs about 30 us.
    ///
    /// - Parameter name: As `top -H` and debuggers show it; at most 15 bytes.
    /// - Returns: 0, or the errno with which the system refused (EAGAIN: too many threads).
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> Int32 {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, stackSize)
        unsafe pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // A new thread inherits what is blocked.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        let start = unsafe Unmanaged.passRetained(Start(name, body))
        var thread = pthread_t()
        let answer = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                // Takes over the reference that `passRetained` made.
                let start = unsafe Unmanaged<Start>.fromOpaque(argument.unsafelyUnwrapped)
                    .takeRetainedValue()
                unsafe pthread_setname_np(pthread_self(), start.name)
                start.body()
                return nil
            }, start.toOpaque())
        if answer != 0 { unsafe start.release() }
        return answer
    }
}
