internal import CSystemCalls
public import Synchronization

/// How long an idle thread looks for work before it sleeps. Adapts to whether that pays.
///
/// A look that finds nothing halves the time. When it has become too short to be worth anything, the thread
/// only sleeps, and now and then tries one look: after 16 sleeps that were so short that a look might have
/// found what ended them, then 32, and so on up to 4096. A look that finds something makes all as at the
/// beginning.
///
/// What counts is whether looks find something, not how short the sleeps are: where whoever brings work needs
/// the same processor, sleeps are short, and looks never find anything.
@frozen @usableFromInline
struct IdleSpin: Sendable {
    /// Nanoseconds.
    @usableFromInline let maximum: Int64
    /// Nanoseconds of the next look.
    @usableFromInline private(set) var budget: Int64
    /// Short sleeps until the next trial, and between two trials.
    @usableFromInline private(set) var sleepsLeft = IdleSpin.leastPause
    @usableFromInline private(set) var pause = IdleSpin.leastPause
    @usableFromInline private(set) var isTrial = false

    /// Below this a look at the clock costs as much as the spinning.
    @inlinable static var least: Int64 { 500 }
    @inlinable static var leastPause: Int32 { 16 }
    @inlinable static var longestPause: Int32 { 4096 }

    @inlinable
    init(maximum: Int64) {
        self.maximum = maximum
        budget = maximum
    }

    @inlinable var isWorthIt: Bool { budget >= IdleSpin.least }

    /// A look found something.
    @usableFromInline
    mutating func succeeded() { self = IdleSpin(maximum: maximum) }

    /// A look found nothing.
    @usableFromInline
    mutating func failed() {
        budget = isTrial ? 0 : budget / 2
        if isTrial { pause = min(2 * pause, IdleSpin.longestPause) }
        isTrial = false
        sleepsLeft = pause
    }

    /// The thread slept this long, in nanoseconds, until something came.
    @usableFromInline
    mutating func noteSleep(_ nanoseconds: Int64) {
        guard !isWorthIt, nanoseconds < maximum else { return }
        sleepsLeft -= 1
        guard sleepsLeft <= 0 else { return }
        budget = maximum
        isTrial = true
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

    /// Tells the processor that this thread only waits: for some dozen cycles its other threads get what it
    /// would use (`pause` on x86, `yield` on arm64).
    @usableFromInline
    static func relax() { linux_relax() }
}
