internal import CLinux
internal import Glibc

/// A bare thread for one job: drivers die with the thread that made them, so it is one of our own,
/// and signals go to the main thread. Join it exactly once.
@usableFromInline
struct JobThread {
    private let handle: pthread_t

    /// What `pthread_create` can carry: its C function must not be generic.
    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// Runs `body` on a thread of 8 MiB stack with every signal blocked.
    init(_ body: @escaping @Sendable () -> Void) throws(BenchError) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        unsafe pthread_attr_setstacksize(&attributes, 8 << 20)
        defer { unsafe pthread_attr_destroy(&attributes) }
        let box = unsafe Unmanaged.passRetained(Box(body))
        var handle = pthread_t()
        let answer = Signals.blocked {
            unsafe pthread_create(
                &handle, &attributes,
                { argument in
                    // The reference that `passRetained` made is taken over here.
                    unsafe Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                    return nil
                }, box.toOpaque())
        }
        guard answer == 0 else {
            unsafe box.release()
            throw BenchError("The system starts no further thread; give fewer --numjobs.")
        }
        self.handle = handle
    }

    /// Waits for its end.
    @usableFromInline
    func join() { pthread_join(handle, nil) }
}

enum Signals {
    /// Runs `body` with every signal of this thread held back; a new thread inherits that.
    static func blocked<R>(_ body: () -> R) -> R {
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        return body()
    }
}
