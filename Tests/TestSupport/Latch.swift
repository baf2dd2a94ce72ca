internal import Glibc

/// Opens when it was counted down to nothing; whoever waits does so within a bound, so that what never
/// happens fails a test instead of holding it up.
///
/// Unchecked: the count is only touched under the mutex.
@safe
public final class Latch: @unchecked Sendable {
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var count: Int

    public init(_ count: Int = 1) {
        self.count = count
        unsafe mutex = .allocate(capacity: 1)
        unsafe mutex.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(mutex, nil)
        unsafe condition = .allocate(capacity: 1)
        unsafe condition.initialize(to: pthread_cond_t())
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe condition.deallocate()
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    public func countDown(_ number: Int = 1) {
        unsafe pthread_mutex_lock(mutex)
        count -= number
        if count <= 0 { unsafe pthread_cond_broadcast(condition) }
        unsafe pthread_mutex_unlock(mutex)
    }

    /// What is left to count down.
    public var remaining: Int {
        unsafe pthread_mutex_lock(mutex)
        defer { _ = unsafe pthread_mutex_unlock(mutex) }
        return count
    }

    /// Waits until it is open. False: the bound passed first.
    @discardableResult
    public func wait(seconds: Int = 60) -> Bool {
        unsafe pthread_mutex_lock(mutex)
        defer { _ = unsafe pthread_mutex_unlock(mutex) }
        var end = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &end)
        end.tv_sec += seconds
        while count > 0 {
            if unsafe pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT {
                return count <= 0
            }
        }
        return true
    }
}
