public import BasicContainers
public import Synchronization

extension ContextShared where Callback: ~Copyable {
    /// Takes an event from a worker although the queue is full. The loop has not ended, because it
    /// waits for the callback that submits this.
    @inlinable
    func park(_ event: consuming IOEvent<Callback>, _ limits: IOLimits) -> IOTicket {
        var box = Optional(QueuedEvent(event, limits))
        let sequence = returns.withLock { returns in append(&box, to: &returns) }
        announce()
        return IOTicket(parked: sequence)
    }

    /// Takes an event although the queue is full, from a thread that the loop does not wait for.
    @inlinable
    func parkForTask(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        var box = Optional(QueuedEvent(event, limits))
        let sequence: UInt64? = returns.withLock { returns in
            // Under the lock: the queue closes before the loop, on its way out, looks here for the last time.
            if queue.isClosed { return nil }
            return append(&box, to: &returns)
        }
        if let sequence {
            announce()
            return .accepted(IOTicket(parked: sequence))
        }
        guard let queued = box.take() else { preconditionFailure("nobody took the event") }
        return .closed(queued.event)
    }

    /// Appends what is in the box, behind everything accepted before. Under the lock of `returns`, so that
    /// sequences and fences rise from one parked event to the next.
    @inlinable
    func append(
        _ box: inout QueuedEvent<Callback>?, to returns: inout UniqueArray<ParkedEvent<Callback>>
    ) -> UInt64 {
        let sequence = parkedSequence.add(1, ordering: .relaxed).newValue
        if let queued = box.take() {
            returns.append(ParkedEvent(queued, fence: queue.end, sequence: sequence))
        }
        return sequence
    }
}
