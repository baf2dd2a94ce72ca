extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Hands staged requests to the kernel and waits until `minimum` events can be handed over.
    @inlinable
    mutating func wait(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        precondition(
            thread == ThreadIdentity.current, "a loop belongs to the thread that made it")
        if !waiting.isEmpty { stageWaitingOrFail() }
        let goal = max(0, min(minimum &- available, atDriver))
        if goal == 0, minimum > 0, available == 0, deadline != nil {
            // Nothing in flight: only the deadline or a wake-up can end this.
            return driver.submit(minimum: 1, deadline: deadline)
        }
        return driver.submit(minimum: goal, deadline: deadline)
    }

    /// Stages what waits. A driver that has nothing in flight and still takes nothing breaks its
    /// contract; the event that it refused for too long fails, so that nobody waits for ever.
    @usableFromInline
    mutating func stageWaitingOrFail() {
        stageWaiting()
        var attempts = 0
        while !waiting.isEmpty, atDriver == 0, available == 0 {
            _ = driver.submit(minimum: 0, deadline: nil)
            // Completions that nobody took may be what fills it.
            if reap() { return }
            stageWaiting()
            attempts += 1
            if attempts == 100, !waiting.isEmpty {
                refuse(waiting.pop(), IOFailure(errno: Errnos.again, reason: .driverFull))
            }
        }
    }

    /// Waits until nothing is in flight, and hands each event to `body`. What the driver can no longer
    /// settle is abandoned.
    @inlinable
    mutating func settleAll() {
        // Failures in a row, without a completion between; the driver backs off itself.
        var failures = 0
        while inFlight > 0 {
            if available == 0 {
                // Continuations were staged since the last time.
                driver.hasten()
                switch wait(minimum: 1, deadline: nil) {
                case .ready, .deadlinePassed: if reap() { failures = 0 }
                case .failed: failures += 1
                }
            }
            while let event = next() {
                failures = 0
                completeClosed(event)
            }
            if failures == 3 { return abandonAll() }
        }
    }

    /// Calls an event's callback with a submitter that takes nothing.
    @inlinable
    mutating func completeClosed(_ event: consuming IOEvent<Callback>) {
        let submitter = unsafe IOSubmitter<Callback>(target: IOBuffer.placeholder) { _, event in
            .closed(event)
        }
        event.complete(submitter)
    }

    /// The driver is dead: every event is handed back without its memory, which stays allocated for
    /// ever because the kernel may still write to it.
    @usableFromInline
    mutating func abandonAll() {
        for number in 0..<UInt32(depth) {
            let slot = unsafe slots.slot(number)
            if unsafe slot.pointee.machine.state == .vacant { continue }
            let event = unsafe slots.event(number)
            switch unsafe slot.pointee.machine.state {
            case .vacant, .finished: break
            case .waiting:
                _ = unsafe slot.pointee.machine.fail(.none)
                unsafe event.pointee.failure = .kernel(Errnos.canceled)
                unsafe event.pointee.status.insert(.done)
            case .inFlight:
                unsafe keepForEver(event)
                // The descriptor stays held: it must not be closed under the request.
                unsafe slot.pointee.record = nil
                _ = unsafe slot.pointee.machine.fail(.none)
                unsafe event.pointee.failure = IOFailure(
                    errno: Errnos.canceled, reason: .abandoned)
                unsafe event.pointee.status.insert([.done, .abandoned])
            }
            completeClosed(handOver(number))
        }
        while !ready.isEmpty { _ = ready.pop() }
        while !waiting.isEmpty { _ = waiting.pop() }
        completionHead = completionCount
    }

    /// Takes an event's memory away for ever.
    private func keepForEver(_ event: UnsafeMutablePointer<IOEvent<Callback>>) {
        var buffer = IOBuffer()
        unsafe swap(&buffer, &event.pointee.buffer)
        AbandonedMemory.keep(buffer)
        if let vectored = unsafe event.pointee.vectored { AbandonedMemory.keep(vectored) }
        unsafe event.pointee.vectored = nil
    }
}
