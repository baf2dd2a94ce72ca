public import Synchronization

/// Where threads wait for something that others bring about, without a lost wake-up.
///
/// The one that waits counts itself, then looks, then sleeps; the one that brings it about does it, then
/// looks at the count. Both pass a full fence in between, so at least one sees the other. Costs a load
/// where nobody waits.
@usableFromInline
final class WaitingRoom: Sendable {
    private let lock = ThreadLock()
    private let condition = ThreadCondition()
    @usableFromInline let waiting = Atomic<Int>(0)

    @usableFromInline init() {}

    /// Waits until `isOver` says so.
    ///
    /// - Parameter deadline: On CLOCK_MONOTONIC; nil: none.
    /// - Returns: False: the deadline passed first.
    @usableFromInline
    func wait(until deadline: IOInstant? = nil, _ isOver: () -> Bool) -> Bool {
        waiting.add(1, ordering: .sequentiallyConsistent)
        defer { waiting.subtract(1, ordering: .relaxed) }
        lock.lock()
        defer { lock.unlock() }
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        while !isOver() {
            if !condition.wait(lock, until: deadline) { return isOver() }
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
        lock.lock()
        condition.broadcast()
        lock.unlock()
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
