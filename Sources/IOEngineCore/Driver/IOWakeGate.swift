internal import Synchronization

/// Where a driver sleeps that has no wait of the kernel's to sleep in: the other end of its waker.
///
/// A driver keeps one, hands out its ``waker``, and calls ``wait(until:)`` when it has nothing to
/// do. Work that finishes on other threads ends the wait by ``endWait()``, which is no wake-up.
/// What comes before the wait ends it at once; several wake-ups become one.
///
/// Not for drivers that wait in the kernel: they need the wake-up there.
public final class IOWakeGate: Sendable {
    private let lock = ThreadLock()
    private let condition = ThreadCondition()
    /// A wake-up that nobody took. Set under the mutex only, so that no sleeper misses it.
    private let isSet = Atomic<Bool>(false)
    /// Something else is to end a wait. Read and written under the lock only.
    private let hasNews = Atomic<Bool>(false)
    private let isWanted = Atomic<Bool>(false)

    public init() {}

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
        lock.lock()
        // Release: pairs with the acquire in `takeWakeUp`; what the waker did before is seen.
        isSet.store(true, ordering: .releasing)
        condition.signal()
        lock.unlock()
    }

    /// Ends the wait that is going on, or the next one, without a wake-up: there may be something
    /// to reap. From any thread.
    public func endWait() {
        lock.lock()
        hasNews.store(true, ordering: .relaxed)
        condition.signal()
        lock.unlock()
    }

    /// Takes a wake-up that has come. False: there is none. Never waits; costs a load if there is none.
    public func takeWakeUp() -> Bool {
        // Acquire: pairs with the release in `wake`.
        isSet.load(ordering: .relaxed) && isSet.exchange(false, ordering: .acquiring)
    }

    /// Waits for a wake-up and takes it. Uses no CPU meanwhile.
    ///
    /// - Parameter deadline: On CLOCK_MONOTONIC; nil: none.
    /// - Returns: `woken` after a wake-up, `ready` after ``endWait()``, `deadlinePassed` when the
    ///   deadline came first.
    public func wait(until deadline: IOInstant? = nil) -> IOWaitOutcome {
        lock.lock()
        defer { lock.unlock() }
        var isInTime = true
        // Ends with one of the three; waking for no reason is allowed and changes nothing.
        while true {
            let isWoken = takeWakeUp()
            // Whoever is woken looks for completions too.
            let hadNews = hasNews.exchange(false, ordering: .relaxed)
            if isWoken { return .woken }
            if hadNews { return .ready }
            if !isInTime { return .deadlinePassed }
            isInTime = condition.wait(lock, until: deadline)
        }
    }
}
