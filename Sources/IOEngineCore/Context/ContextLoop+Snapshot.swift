internal import DequeModule
internal import Synchronization

extension ContextShared where Callback: ~Copyable {
    /// Asks the loop what it is doing, and waits no longer than `patience`.
    func snapshot(_ patience: Duration) -> IOContextSnapshot {
        if isForked {
            var snapshot = board.latestIfFree ?? IOContextSnapshot()
            snapshot.isResponsive = true
            snapshot.hasEnded = true
            return snapshot
        }
        // Before it is asked, which wakes it.
        let wasSleeping = isSleeping.load(ordering: .relaxed)
        let number = board.ask()
        announce()
        var snapshot = board.wait(for: number, until: .monotonic().advanced(by: patience))
        if snapshot.hasEnded { return snapshot }
        if !snapshot.isResponsive { lookFromOutside(&snapshot) }
        snapshot.isSleeping = wasSleeping
        return snapshot
    }

    /// Fills in what can be told without the loop.
    func lookFromOutside(_ snapshot: inout IOContextSnapshot) {
        let since = IOInstant.monotonic().nanoseconds - lastCycle.load(ordering: .relaxed)
        snapshot.sinceLastCycle = .nanoseconds(max(0, since))
        snapshot.isSleeping = isSleeping.load(ordering: .relaxed)
        snapshot.queued = max(0, queue.end - lastHead.load(ordering: .relaxed))
        snapshot.inFlight = lastInFlight.load(ordering: .relaxed)
        snapshot.wakeUps = wakeUps.load(ordering: .relaxed)
    }
}

extension ContextLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// How often the counters are published while the loop works, in nanoseconds.
    @inlinable static var publishingInterval: Int64 { 10_000_000 }

    func snapshot() -> IOContextSnapshot {
        var snapshot = IOContextSnapshot()
        shared.lookFromOutside(&snapshot)
        snapshot.isResponsive = true
        snapshot.queued = shared.queue.end - shared.queue.head + parked.count
        note(&snapshot)
        snapshot.latencies = loop.latencies
        snapshot.oldest = unsafe core.pointee.oldestRequest()
        return snapshot
    }

    /// Publishes the counters, for those who cannot wait for the loop.
    @usableFromInline
    mutating func publish() {
        lastPublished = unsafe core.pointee.coarseNow
        shared.board.publish { note(&$0) }
    }

    /// Answers those who have asked for a snapshot.
    mutating func answerSnapshots() {
        guard let number = shared.board.question() else { return }
        lastPublished = unsafe core.pointee.coarseNow
        shared.board.answer(number, snapshot())
    }

    /// Publishes the last snapshot.
    func endSnapshots() {
        var last = snapshot()
        last.hasEnded = true
        last.isSleeping = false
        shared.board.end(last)
    }

    /// Notes what costs next to nothing to copy.
    private func note(_ snapshot: inout IOContextSnapshot) {
        snapshot.inFlight = unsafe core.pointee.inFlight
        snapshot.atWorkers =
            handedEven &+ handedOdd &- shared.returned(0) &- shared.returned(1)
        snapshot.unsettled = unsafe core.pointee.abandonedCount
        snapshot.unsettledBytes = unsafe core.pointee.abandonedBytes
        snapshot.bytesInFlight = unsafe core.pointee.bytesInFlight
        snapshot.statistics = loop.statistics
    }
}
