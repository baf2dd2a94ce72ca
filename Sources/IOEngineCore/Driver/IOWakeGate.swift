internal import Glibc
internal import Synchronization

/// Where a driver sleeps that has no wait of the kernel's to sleep in: the other end of its waker.
///
/// A driver keeps one, hands out its ``waker``, and calls ``wait(until:)`` when it has nothing to do.
/// Work that finishes on other threads ends the wait in the same way, by ``wake()``. A wake-up that
/// comes before the wait ends it at once; several become one.
///
/// Not for drivers that wait in the kernel: they need the wake-up there.
@safe
public final class IOWakeGate: @unchecked Sendable {
    // Unchecked: the two pointers are set once and lead to what pthreads share; the rest is atomic.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    /// A wake-up that nobody took. Set under the mutex only, so that no sleeper misses it.
    private let isSet = Atomic<Bool>(false)
    private let isWanted = Atomic<Bool>(false)

    public init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe condition = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        // Deadlines are on this clock.
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    /// Wakes through this gate, and keeps it alive. Costs one allocation.
    public var waker: IOWaker {
        isWanted.store(true, ordering: .relaxed)
        return IOWaker { [self] in wake() }
    }

    /// Whether anybody ever asked for a waker. Without one, nothing but the driver itself can end a
    /// wait.
    public var isAskedFor: Bool { isWanted.load(ordering: .relaxed) }

    /// Ends the wait that is going on, or the next one. From any thread.
    public func wake() {
        unsafe pthread_mutex_lock(mutex)
        // Release: pairs with the acquire in `takeWakeUp`; what the waker did before is seen.
        isSet.store(true, ordering: .releasing)
        unsafe pthread_cond_signal(condition)
        unsafe pthread_mutex_unlock(mutex)
    }

    /// Takes a wake-up that has come. False: there is none. Never waits; costs a load if there is none.
    public func takeWakeUp() -> Bool {
        // Acquire: pairs with the release in `wake`.
        isSet.load(ordering: .relaxed) && isSet.exchange(false, ordering: .acquiring)
    }

    /// Waits for a wake-up and takes it. Uses no CPU meanwhile.
    ///
    /// - Parameter deadline: On CLOCK_MONOTONIC; nil: none.
    /// - Returns: `ready` when woken, `deadlinePassed` when the deadline came first.
    public func wait(until deadline: IOInstant? = nil) -> IOWaitOutcome {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        // Ends with a wake-up or the deadline; waking for no reason is allowed and changes neither.
        while !takeWakeUp() {
            guard let deadline else {
                unsafe pthread_cond_wait(condition, mutex)
                continue
            }
            let nanoseconds = max(0, deadline.nanoseconds)
            var time = timespec(
                tv_sec: Int(nanoseconds / 1_000_000_000),
                tv_nsec: Int(nanoseconds % 1_000_000_000))
            if unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT {
                return takeWakeUp() ? .ready : .deadlinePassed
            }
        }
        return .ready
    }
}
