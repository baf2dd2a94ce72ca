extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Hands staged requests to the kernel and waits until `minimum` events can be handed over.
    @inlinable @inline(__always)
    mutating func wait(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        precondition(
            thread == ThreadIdentity.current, "a loop belongs to the thread that made it")
        if unsafe life.pointee.isForked { return .failed(errno: Errnos.canceled) }
        if !waiting.isEmpty { stageWaitingOrFail() }
        if timers.count > 0 || heldSyncs > 0 || needsHaste {
            return waitWithPolicy(deadline) { core, until in
                core.handDown(most: minimum, deadline: until)
            }
        }
        return handDown(minimum: minimum, deadline: deadline)
    }

    /// Submits, and waits for what is still wanted of `minimum`.
    @inlinable @inline(__always)
    mutating func handDown(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        if minimum == 1, available | waiting.count | heldCount | abandonedCount == 0, occupied > 0 {
            // The expected case: all that is in flight is at the driver, and any of it will do.
            return driver.submit(minimum: 1, deadline: deadline)
        }
        return handDown(most: minimum, deadline: deadline)
    }

    @inlinable @inline(never)
    mutating func handDown(most minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        let goal = max(0, min(minimum &- available, awaited))
        if goal == 0, minimum > 0, available == 0, deadline != nil {
            // Nothing in flight: only the deadline or a wake-up can end this.
            return submitSeldom(minimum: 1, deadline: deadline)
        }
        return submitSeldom(minimum: goal, deadline: deadline)
    }

    /// Hands down what is staged, so that there is room.
    @inlinable
    mutating func flush() { _ = submitSeldom(minimum: 0, deadline: nil) }

    /// The driver's `submit` off the common path, where it is not to be inlined.
    @inlinable @inline(never)
    mutating func submitSeldom(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        driver.submit(minimum: minimum, deadline: deadline)
    }

    /// Requests at the driver that are worth waiting for. Those of abandoned events are not, unless
    /// the loop drains or something held waits for them.
    @inlinable
    var awaited: Int {
        let all = atDriver
        if abandonedCount == 0 || isClosed { return all }
        let live = all &- abandonedCount
        return live == 0 && heldCount > 0 ? min(1, all) : live
    }

    /// For a context: waits for anything at all, a wake-up included, also with nothing in flight.
    @inlinable @inline(__always)
    mutating func waitForAnything(_ mayBlock: Bool, deadline: IOInstant?) -> IOWaitOutcome {
        if unsafe life.pointee.isForked { return .failed(errno: Errnos.canceled) }
        if !waiting.isEmpty { stageWaitingOrFail() }
        if timers.count > 0 || heldSyncs > 0 || needsHaste {
            return waitWithPolicy(deadline) { core, until in
                core.submitSeldom(
                    minimum: mayBlock && core.available == 0 ? 1 : 0, deadline: until)
            }
        }
        return driver.submit(minimum: mayBlock && available == 0 ? 1 : 0, deadline: deadline)
    }

    /// Waits with the events' own deadlines, and lets layers hand down what somebody waits for.
    @inlinable @inline(never)
    mutating func waitWithPolicy(
        _ deadline: IOInstant?, _ body: (inout Self, IOInstant?) -> IOWaitOutcome
    ) -> IOWaitOutcome {
        expireTimers()
        driver.hasten()
        needsHaste = false
        var until = deadline
        let own = earliestTimer
        if own < deadline?.nanoseconds ?? .max { until = IOInstant(nanoseconds: own) }
        let outcome = body(&self, until)
        expireTimers()
        guard outcome == .deadlinePassed, until != deadline else { return outcome }
        return .ready
    }

    @usableFromInline var earliestTimer: Int64 { timers.earliest }

    /// Stages what waits. A driver that has nothing in flight and still takes nothing breaks its
    /// contract; the event that it refused for too long fails, so that nobody waits for ever.
    @usableFromInline
    mutating func stageWaitingOrFail() {
        let before = waiting.count
        stageWaiting()
        if waiting.count < before || atDriver > 0 { fruitlessAttempts = 0 }
        while !waiting.isEmpty, atDriver == 0, available == 0 {
            // Counted from one wait to the next: a driver may also bring answers to nothing for ever.
            fruitlessAttempts += 1
            if fruitlessAttempts >= 100 {
                fruitlessAttempts = 0
                return refuse(waiting.pop(), IOFailure(errno: Errnos.again, reason: .driverFull))
            }
            flush()
            // Completions that nobody took may be what fills it.
            if reapSeldom() { return }
            stageWaiting()
        }
        fruitlessAttempts = 0
    }

    /// Waits until nothing is in flight, and hands each event to `body`. What the driver can no longer
    /// settle is abandoned.
    @inlinable
    mutating func settleAll() {
        if unsafe life.pointee.isForked { return }
        // Failures in a row, without a completion between; the driver backs off itself.
        var failures = 0
        var isWoken = false
        while occupied > 0 || huskCount > 0 {
            if available == 0 {
                // Continuations were staged since the last time.
                driver.hasten()
                switch wait(minimum: 1, deadline: nil) {
                case .ready, .deadlinePassed: if reapSeldom() { failures = 0 }
                case .woken:
                    isWoken = true
                    if reapSeldom() { failures = 0 }
                case .failed: failures += 1
                }
            }
            while let event = next() {
                failures = 0
                completeClosed(event)
            }
            if failures == 3 {
                abandonAll()
                break
            }
        }
        // Not meant for this: the next wait tells of it.
        if isWoken { driver.waker.wake() }
        endLingeringOfAll()
    }

    /// Calls an event's callback with a submitter that takes nothing.
    @inlinable
    mutating func completeClosed(_ event: consuming IOEvent<Callback>) {
        let submitter = unsafe IOSubmitter<Callback>(target: IOBuffer.placeholder) {
            _, event, _ in
            .closed(event)
        }
        event.complete(submitter)
    }

    /// The driver is dead: every event is handed back without its memory, which stays allocated for
    /// ever because the kernel may still write to it.
    @usableFromInline
    mutating func abandonAll() {
        // Its requests may still be with the kernel, under the numbers of slots that come free here.
        isGone = true
        isDead = true
        // Nothing that ends now may set anything else going.
        for number in 0..<depth { unsafe policies[number].chainNext = 0 }
        keepAbandoned()
        var unseen: [IODescriptor] = []
        for number in 0..<UInt32(depth) {
            let slot = unsafe slots.slot(number)
            if unsafe slot.pointee.machine.state == .vacant { continue }
            let event = unsafe slots.event(number)
            switch unsafe slot.pointee.machine.state {
            case .vacant, .finished, .abandoned: break
            case .waiting, .held:
                unsafe slot.pointee.record.map { unsafe leaveLists(number, $0) }
                _ = unsafe slot.pointee.machine.fail(.none)
                unsafe event.pointee.failure = .kernel(Errnos.canceled)
                unsafe event.pointee.status.insert(.done)
            case .inFlight:
                unsafe keepForEver(event)
                if let object = objectOfUnseenEnd(number) { unseen.append(object) }
                // The descriptor stays held: it must not be closed under the request.
                unsafe slot.pointee.record = nil
                _ = unsafe slot.pointee.machine.fail(.none)
                unsafe event.pointee.failure = IOFailure(
                    errno: Errnos.canceled, reason: .abandoned)
                unsafe event.pointee.status.insert([.done, .abandoned])
            }
            completeClosed(handOver(number))
        }
        for object in unseen { object.setSyncError(Errnos.ioError) }
        while !ready.isEmpty { _ = ready.pop() }
        while !waiting.isEmpty { _ = waiting.pop() }
        heldCount = 0
        heldSyncs = 0
        completionHead = completionCount
    }

    /// What was abandoned never settles: its memory is kept for ever.
    @usableFromInline
    mutating func keepAbandoned() {
        for number in 0..<UInt32(depth)
        where unsafe slots.slot(number).pointee.machine.state == .abandoned {
            unsafe keepForEver(slots.event(number))
            objectOfUnseenEnd(number)?.setSyncError(Errnos.ioError)
            // The descriptor stays held: it must not be closed under the request.
            unsafe slots.slot(number).pointee.record = nil
            vacate(number)
        }
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
