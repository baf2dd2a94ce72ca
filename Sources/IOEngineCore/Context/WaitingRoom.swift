internal import Glibc
public import Synchronization

/// Where threads wait for something that others bring about, without a lost wake-up.
///
/// The one that waits counts itself, then looks, then sleeps; the one that brings it about does it, then
/// looks at the count. Both pass a full fence in between, so at least one sees the other. Costs a load
/// where nobody waits.
@safe @usableFromInline
final class WaitingRoom: @unchecked Sendable {
    // Unchecked: mutex and condition are made for several threads; `waiting` is atomic.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    @usableFromInline let waiting = Atomic<Int>(0)

    @usableFromInline
    init() {
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
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
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// Waits until `isOver` says so.
    ///
    /// - Parameter deadline: On CLOCK_MONOTONIC; nil: none.
    /// - Returns: False: the deadline passed first.
    @usableFromInline
    func wait(until deadline: IOInstant? = nil, _ isOver: () -> Bool) -> Bool {
        waiting.add(1, ordering: .sequentiallyConsistent)
        defer { waiting.subtract(1, ordering: .relaxed) }
        unsafe pthread_mutex_lock(mutex)
        defer { _ = unsafe pthread_mutex_unlock(mutex) }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        while !isOver() {
            guard let deadline else {
                unsafe pthread_cond_wait(condition, mutex)
                continue
            }
            let at = max(0, deadline.nanoseconds)
            var time = timespec(tv_sec: Int(at / 1_000_000_000), tv_nsec: Int(at % 1_000_000_000))
            if unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT {
                return isOver()
            }
        }
        return true
    }

    /// Wakes those who wait, if there are any, so that they look again.
    @inlinable
    func notify() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if waiting.load(ordering: .relaxed) > 0 { wakeAll() }
    }

    @usableFromInline
    func wakeAll() {
        unsafe pthread_mutex_lock(mutex)
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
    }
}

/// An answer that one thread waits for and another gives, once.
@usableFromInline
final class Reply<Value: Sendable>: Sendable {
    private let value = LockedValue<Value?>(nil)
    private let room = WaitingRoom()

    @usableFromInline init() {}

    @usableFromInline
    func give(_ answer: Value) {
        value.withLock { $0 = answer }
        room.notify()
    }

    @usableFromInline
    func wait(until deadline: IOInstant? = nil) -> Value? {
        _ = room.wait(until: deadline) { value.withLock { $0 != nil } }
        return answer
    }

    /// What was given; nil: nothing yet.
    var answer: Value? { value.withLock { $0 } }
}
