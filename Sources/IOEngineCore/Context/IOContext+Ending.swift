internal import Synchronization

/// How a shutdown with a deadline ended.
public struct IOShutdown: Hashable, Sendable {
    /// Every accepted event's callback has returned.
    public let isComplete: Bool
    /// Requests that were given up and had not settled. The engine keeps what they need, and its thread
    /// waits for them, tells `onSettled` and then ends.
    public let unsettled: Int
}

extension IOContext where Callback: ~Copyable, Driver: ~Copyable {
    /// Takes no more events, finishes what was accepted, calls every callback, and ends the thread.
    ///
    /// Waits for that, also for requests of events that were given up. On a loop's or worker's thread
    /// (in a callback, for example) it does not wait: the thread finishes by itself. May be called
    /// several times, and together with ``shutdown(deadline:)``.
    public func shutdown() {
        if shared.isForked { return }
        shared.beginShutdown(deadline: .max)
        if shared.isOnLoop || EngineThread.isCurrentOurs { return }
        thread.join()
        // Whoever came second waits here for the first.
        _ = shared.ending.wait { shared.isGone.load(ordering: .acquiring) }
    }

    /// The same within a time: at the deadline what has not finished is cancelled, and what has not
    /// settled 100 ms later is given up: its callback runs without its memory, `isSettled` false.
    ///
    /// Returns at the latest a second after the deadline; then, if a callback still runs, `isComplete` is
    /// false. On a thread of the engine's it does not wait.
    ///
    /// - Parameter deadline: On the driver's clock; ``IOInstant/monotonic()`` for real drivers.
    @discardableResult
    public func shutdown(deadline: IOInstant) -> IOShutdown {
        if shared.isForked { return IOShutdown(isComplete: true, unsettled: 0) }
        shared.beginShutdown(deadline: deadline.nanoseconds)
        if !shared.isOnLoop && !EngineThread.isCurrentOurs {
            let last = max(deadline, .monotonic()).advanced(by: .seconds(1))
            _ = shared.ending.wait(until: last) { shared.allCalled.load(ordering: .acquiring) }
        }
        let isComplete = shared.allCalled.load(ordering: .acquiring)
        let unsettled = shared.unsettled.load(ordering: .relaxed)
        if isComplete, unsettled == 0, !EngineThread.isCurrentOurs {
            thread.join()
        } else {
            // It has to wait for the kernel, or for a callback: by itself.
            thread.detach()
        }
        return IOShutdown(isComplete: isComplete, unsettled: unsettled)
    }
}

extension ContextShared where Callback: ~Copyable {
    /// Closes the intake, so that nothing slips in behind the loop's last look, and tells the loop.
    func beginShutdown(deadline: Int64) {
        closeIntake()
        _ = send(.shutDown(deadline: deadline))
    }

    func closeIntake() {
        isClosing.store(true, ordering: .releasing)
        _ = queue.close()
        producers.wakeAll()
    }
}
