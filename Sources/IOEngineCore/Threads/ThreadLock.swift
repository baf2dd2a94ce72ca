internal import CLinux
internal import Glibc

/// A lock between threads, with conditions to wait for (`pthread_mutex_t`).
///
/// Owns its memory, at an address that stays. Nobody may hold or wait for it when it ends.
@safe
package struct ThreadLock: ~Copyable, @unchecked Sendable {
    // Unchecked: a mutex is for use by several threads.
    fileprivate let mutex: UnsafeMutablePointer<pthread_mutex_t>

    package init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    package func lock() { unsafe pthread_mutex_lock(mutex) }
    /// Takes the lock if nobody has it.
    package func tryLock() -> Bool { unsafe pthread_mutex_trylock(mutex) == 0 }
    package func unlock() { unsafe pthread_mutex_unlock(mutex) }
}

/// What a thread waits for while it lets go of a lock (`pthread_cond_t`, on CLOCK_MONOTONIC).
///
/// Waits may end for no reason: look again. Owns its memory; nobody may wait for it when it ends.
@safe
package struct ThreadCondition: ~Copyable, @unchecked Sendable {
    // Unchecked: a condition is for use by several threads.
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    package init() {
        unsafe condition = .allocate(capacity: 1)
        unsafe condition.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe condition.deallocate()
    }

    /// Lets go of the lock, waits, and holds the lock again. One system call.
    ///
    /// - Returns: False if the deadline, on CLOCK_MONOTONIC, passed.
    package func wait(_ lock: borrowing ThreadLock, until deadline: IOInstant?) -> Bool {
        guard let deadline else { return unsafe pthread_cond_wait(condition, lock.mutex) == 0 }
        let nanoseconds = max(0, deadline.nanoseconds)
        var time = timespec(
            tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        return unsafe pthread_cond_timedwait(condition, lock.mutex, &time) != ETIMEDOUT
    }

    /// Ends the wait of one thread, if there is one.
    package func signal() { unsafe pthread_cond_signal(condition) }
    /// Ends the waits of all threads.
    package func broadcast() { unsafe pthread_cond_broadcast(condition) }
}
