internal import Glibc
internal import Synchronization

/// Turns the signals that ask a program to end into calls, so that it can end tidily.
///
/// The signals are blocked and waited for by a thread of its own, where anything may be done, unlike
/// in a handler. A signal that was ignored before (`nohup`) stays ignored. Make one, at the start of
/// the program, before other threads, which inherit what is blocked.
final class SignalWatch: Sendable {
    private let seen = Seen()

    /// What the thread knows.
    private final class Seen: Sendable {
        let signal = Atomic<Int32>(0)
    }

    /// What `pthread_create` can carry.
    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// - Parameters:
    ///   - first: Called at the first signal, on another thread.
    ///   - second: Called at the second, after which the process dies of it.
    init(
        first: @escaping @Sendable () -> Void, second: @escaping @Sendable () -> Void
    ) {
        let signals = [SIGINT, SIGTERM, SIGHUP].filter { !Self.isIgnored($0) }
        var set = Self.set(of: signals)
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        let box = unsafe Unmanaged.passRetained(
            Box { [seen, set] in
                var set = set
                while true {
                    var signal: Int32 = 0
                    guard unsafe sigwait(&set, &signal) == 0 else { continue }
                    let isFirst = seen.signal.compareExchange(
                        expected: 0, desired: signal, ordering: .relaxed
                    ).exchanged
                    if isFirst {
                        first()
                    } else {
                        second()
                        Self.die(of: signal)
                    }
                }
            })
        var thread = pthread_t()
        let answer = unsafe pthread_create(
            &thread, nil,
            { argument in
                // The reference that `passRetained` made is taken over here.
                unsafe Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        if answer == 0 {
            pthread_detach(thread)
        } else {
            // Without the thread, signals do what they always do.
            unsafe box.release()
            unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
        }
    }

    /// Dies of the signal that came, if one came, so that a shell sees it.
    func repeatSignal() {
        let signal = seen.signal.load(ordering: .relaxed)
        if signal != 0 { Self.die(of: signal) }
    }

    private static func die(of number: Int32) -> Never {
        _ = signal(number, SIG_DFL)
        var set = set(of: [number])
        unsafe pthread_sigmask(SIG_UNBLOCK, &set, nil)
        raise(number)
        _exit(128 + number)
    }

    private static func isIgnored(_ signal: Int32) -> Bool {
        var action = sigaction()
        unsafe sigaction(signal, nil, &action)
        // SIG_IGN is 1, a macro that Swift imports as a function, which cannot be compared.
        return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    private static func set(of signals: [Int32]) -> sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        for signal in signals { unsafe sigaddset(&set, signal) }
        return set
    }
}
