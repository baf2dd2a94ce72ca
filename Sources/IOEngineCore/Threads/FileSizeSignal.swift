internal import CLinux
internal import Glibc

/// SIGXFSZ, which the kernel sends to the thread that writes past RLIMIT_FSIZE, and which ends the
/// process unless somebody handles it.
///
/// A loop may run on a thread of the program's own, where its writes are begun; the limit may be lowered
/// at any time, by another process too (`prlimit(2)`). So a thread that has loops keeps the signal
/// blocked: the kernel sends it to that thread alone, where it then waits, and the write ends with EFBIG.
/// When the thread's last loop ends, a signal that waits is taken and the mask is as before.
@usableFromInline
enum FileSizeSignal {
    /// The thread's loops, times 2, and 1 if the signal was blocked before them.
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key, nil)
        return key
    }()

    private static var count: Int {
        get { Int(bitPattern: unsafe pthread_getspecific(key)) }
        set { unsafe pthread_setspecific(key, UnsafeRawPointer(bitPattern: newValue)) }
    }

    private static var signals: sigset_t {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGXFSZ)
        return signals
    }

    /// The calling thread has one more loop.
    @usableFromInline
    static func block() {
        let loops = count
        if loops > 0 {
            count = loops + 2
            return
        }
        var signals = signals
        var before = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, &signals, &before)
        count = 2 + (unsafe sigismember(&before, SIGXFSZ) == 1 ? 1 : 0)
    }

    /// And one less.
    @usableFromInline
    static func unblock() {
        let loops = count
        if loops > 3 {
            count = loops - 2
            return
        }
        // 0: it was made on another thread, whose signals are not this one's business.
        guard loops > 0 else { return }
        count = 0
        if loops == 3 { return }
        var signals = signals
        var now = timespec()
        _ = unsafe sigtimedwait(&signals, nil, &now)
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }
}
