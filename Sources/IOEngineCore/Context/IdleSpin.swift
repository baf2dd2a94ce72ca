public import Synchronization

/// How long an idle loop looks at its queue before it sleeps. Adapts: it halves each time nothing came,
/// and is whole again when something came soon after the loop had gone to sleep.
@frozen @usableFromInline
struct IdleSpin: Sendable {
    /// Nanoseconds.
    @usableFromInline let maximum: Int64
    @usableFromInline var budget: Int64

    /// Below this a look at the clock costs as much as the spinning.
    @inlinable static var least: Int64 { 500 }

    @inlinable
    init(maximum: Int64) {
        self.maximum = maximum
        budget = maximum
    }

    @inlinable var isWorthIt: Bool { budget >= IdleSpin.least }
    @inlinable mutating func succeeded() { budget = maximum }
    @inlinable mutating func failed() { budget /= 2 }

    /// The loop slept this long, nanoseconds, with nothing in flight.
    @inlinable
    mutating func noteSleep(_ nanoseconds: Int64) {
        if nanoseconds < 4 &* maximum { budget = maximum }
    }
}

/// Fences and pauses under names that say what they are for.
@usableFromInline
enum ThreadFence {
    /// Orders every access before it against every access after it.
    @inlinable static func full() { atomicMemoryFence(ordering: .sequentiallyConsistent) }

    /// Raises a flag before every access that follows. On x86 the exchange orders as the fence does, in
    /// half its time; elsewhere it does not.
    @inlinable @inline(__always)
    static func raise(_ flag: borrowing Atomic<Bool>) {
        #if arch(x86_64)
            _ = flag.exchange(true, ordering: .sequentiallyConsistent)
        #else
            flag.store(true, ordering: .relaxed)
            full()
        #endif
    }

    /// A few instructions' time for the other thread of a core.
    @inlinable
    static func relax() { _spin() }

    @usableFromInline
    static let pause = Atomic<Int>(0)

    @inlinable
    static func _spin() { _ = pause.load(ordering: .relaxed) }
}
