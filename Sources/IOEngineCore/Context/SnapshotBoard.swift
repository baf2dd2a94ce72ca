internal import Synchronization

/// Where a context's loop publishes snapshots, for those who cannot wait for it or come after its end.
///
/// Asking costs no memory: who asks raises a number, and one answer serves all who asked before it.
@usableFromInline
final class SnapshotBoard: Sendable {
    private let latest = LockedValue(IOContextSnapshot())
    private let room = WaitingRoom()
    private let asked = Atomic<UInt64>(0)
    private let answered = Atomic<UInt64>(0)
    private let hasEnded = Atomic<Bool>(false)

    /// Asks for a snapshot. Wake the loop then.
    func ask() -> UInt64 { asked.add(1, ordering: .acquiringAndReleasing).newValue }

    /// Waits for the answer.
    ///
    /// - Returns: The latest snapshot, `isResponsive` false where it is not the answer.
    func wait(for number: UInt64, until deadline: IOInstant) -> IOContextSnapshot {
        let isAnswered = room.wait(until: deadline) {
            hasEnded.load(ordering: .acquiring) || answered.load(ordering: .acquiring) >= number
        }
        var snapshot = latest.withLock { $0 }
        snapshot.isResponsive = isAnswered
        return snapshot
    }

    /// The latest snapshot, without waiting for anybody; nil where another thread is at it, which in a forked
    /// child may be for ever.
    var latestIfFree: IOContextSnapshot? { latest.withLockIfFree { $0 } }

    // MARK: The loop's

    /// The number of those who ask now; nil: nobody.
    func question() -> UInt64? {
        let number = asked.load(ordering: .acquiring)
        return number > answered.load(ordering: .relaxed) ? number : nil
    }

    /// Answers all who asked until then.
    func answer(_ number: UInt64, _ snapshot: IOContextSnapshot) {
        latest.withLock { $0 = snapshot }
        answered.store(number, ordering: .releasing)
        room.notify()
    }

    /// Publishes what changes all the time, unless somebody is reading.
    func publish(_ change: (inout IOContextSnapshot) -> Void) {
        _ = latest.withLockIfFree { change(&$0) }
    }

    /// Publishes the last snapshot and answers all who ask from here on.
    func end(_ snapshot: IOContextSnapshot) {
        latest.withLock { $0 = snapshot }
        hasEnded.store(true, ordering: .releasing)
        room.notify()
    }
}
