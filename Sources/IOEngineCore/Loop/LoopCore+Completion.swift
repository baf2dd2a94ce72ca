extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// The next finished event, or nil when there is none without waiting.
    @inlinable
    mutating func next() -> IOEvent<Callback>? {
        // What was reaped before a fork is the parent's.
        if unsafe life.pointee.isForked { return nil }
        var mayReap = true
        if let event = next(&mayReap) { return event }
        return ready.isEmpty ? nil : nextOfNewPass()
    }

    /// The first event of the pass after one that has just ended, for who pulls events and does not
    /// wait between two passes. Who submits what is refused again and again would never wait, so
    /// after many refusals deadlines are looked at and staged requests handed down here.
    @inlinable @inline(never)
    mutating func nextOfNewPass() -> IOEvent<Callback>? {
        readyQuota = -1
        if refusalsTaken >= depth {
            refusalsTaken = 0
            expireTimers()
            if atDriver > 0 || !waiting.isEmpty { flush() }
        }
        var mayReap = true
        return next(&mayReap)
    }

    /// The same for who asks again and again between two waits.
    ///
    /// - Parameter mayReap: Becomes false when the driver has said that nothing more is finished. Until
    ///   the next wait it is not asked again: what finishes meanwhile makes that wait a short one.
    @inlinable @inline(__always)
    mutating func next(_ mayReap: inout Bool) -> IOEvent<Callback>? {
        if huskCount > 0 { return takeHusk() }
        guard let number = nextFinished(&mayReap) else { return nil }
        return handOver(number)
    }

    /// Lets `body` see up to `limit` finished events where they lie, and does with each what it says.
    @inlinable @inline(__always)
    mutating func forEachFinished(
        limit: Int, _ body: (inout IOEvent<Callback>) -> IODisposition
    ) -> Int {
        var handled = 0
        if unsafe life.pointee.isForked { return 0 }
        if huskCount > 0 { handled = showHusks(body) }
        readyQuota = -1
        var mayReap = true
        while handled < limit, let number = nextFinished(&mayReap) {
            handled &+= 1
            conclude(number)
            let stay = stayForNow(number)
            let disposition = body(&(unsafe slots.event(number).pointee))
            // If it has forked and this is the child, the loop does nothing any more.
            if unsafe life.pointee.isForked { return handled }
            if disposition == .submitAgain {
                enrolAgain(number, stay)
            } else {
                _ = takeOut(number, stay)
            }
        }
        return handled
    }

    /// Frees the slot of an event that was looked at where it lies.
    @inlinable @inline(__always)
    mutating func takeOut(_ number: UInt32, _ stay: Stay) -> IOEvent<Callback> {
        leave(stay)
        unsafe free[freeCount] = number
        freeCount &+= 1
        return unsafe slots.event(number).move()
    }

    /// Without their memory they cannot be submitted again.
    @inlinable @inline(never)
    mutating func showHusks(_ body: (inout IOEvent<Callback>) -> IODisposition) -> Int {
        var handled = 0
        while huskCount > 0 {
            handled &+= 1
            var husk = takeHusk()
            _ = body(&husk)
        }
        return handled
    }

    /// The slot of the next finished event, or nil at the end of a pass.
    ///
    /// One pass takes the refusals that were there when it first looked, then what the driver has
    /// finished. What is refused meanwhile is for the next pass: an event that is submitted again
    /// each time that it is refused keeps neither completions nor the next wait, with its
    /// deadlines, from having their turn. Whoever begins a pass says so by a negative `readyQuota`.
    @inlinable @inline(__always)
    mutating func nextFinished(_ mayReap: inout Bool) -> UInt32? {
        while true {
            if !ready.isEmpty, let number = nextReady() { return number }
            if completionHead == completionCount {
                guard mayReap, reap() else { return nil }
                mayReap = unsafe completionCount == completions.count
            }
            let completion = unsafe completions[completionHead]
            completionHead &+= 1
            let number = completion.token.slot
            guard number < UInt32(truncatingIfNeeded: depth),
                unsafe slots.slot(number).pointee.generation == completion.token.generation
                    && slots.slot(number).pointee.machine.state == .inFlight
            else {
                dismiss(completion)
                continue
            }
            if settle(number, completion.result) { return number }
        }
    }

    /// The next of the refusals that belong to this pass; only if there is any refusal.
    @inlinable @inline(never)
    mutating func nextReady() -> UInt32? {
        if readyQuota < 0 { readyQuota = ready.count }
        if readyQuota == 0 { return nil }
        readyQuota &-= 1
        refusalsTaken &+= 1
        return ready.pop()
    }

    /// The same off the common path, where the driver's `reap` is not to be inlined.
    @inlinable @inline(never)
    mutating func reapSeldom() -> Bool { reap() }

    /// Fetches what is finished behind what was fetched and not looked at.
    @inlinable @inline(never)
    mutating func reapMore() {
        if completionHead == completionCount {
            _ = reap()
        } else if unsafe !life.pointee.isForked {
            fetch(behind: completionCount)
        }
    }

    /// Fetches finished requests from the driver. False: there are none.
    @inlinable @inline(__always)
    mutating func reap() -> Bool {
        if unsafe life.pointee.isForked { return false }
        fetch(behind: 0)
        completionHead = 0
        return completionCount > 0
    }

    /// Keeps that many completions, and has the driver put others behind them.
    @inlinable @inline(__always)
    mutating func fetch(behind kept: Int) {
        var span = unsafe OutputSpan(buffer: completions, initializedCount: kept)
        driver.reap(into: &span)
        completionCount = unsafe span.finalize(for: completions)
    }

    /// Credits a result to its event. True: the event is finished.
    @inlinable @inline(__always)
    mutating func settle(_ number: UInt32, _ result: Int) -> Bool {
        let slot = unsafe slots.slot(number)
        let event = unsafe slots.event(number)
        if unsafe slot.pointee.machine.completedWhole(
            result, requested: slot.pointee.requested, transferred: &event.pointee.movedLength,
            length: event.pointee.length)
        {
            noteBytes(unsafe event.pointee.action, result)
            return true
        }
        return settleOther(number, result)
    }

    @inlinable @inline(__always)
    mutating func noteBytes(_ action: IOAction, _ count: Int) {
        if action.isRead {
            statistics.bytesRead &+= UInt64(truncatingIfNeeded: count)
        } else {
            statistics.bytesWritten &+= UInt64(truncatingIfNeeded: count)
        }
    }

    /// Everything but a whole transfer.
    @inlinable @inline(never)
    mutating func settleOther(_ number: UInt32, _ result: Int) -> Bool {
        let slot = unsafe slots.slot(number)
        let event = unsafe slots.event(number)
        let first = unsafe slot.pointee.machine.completed(
            result, requested: slot.pointee.requested, transferred: &event.pointee.movedLength,
            length: event.pointee.length)
        noteBytes(unsafe event.pointee.action, max(0, result))
        let isTransfer = unsafe event.pointee.action.isTransfer
        if unsafe isTransfer && result >= 0 && result < slot.pointee.requested {
            statistics.shortTransfers &+= 1
        }
        var step = first
        while true {
            switch step {
            case .finish:
                let known = knownSyncFailure(number)
                if !known.isNone {
                    step = unsafe slot.pointee.machine.fail(known)
                    continue
                }
                // What moved some bytes but not all was handed over short; 0 bytes are the end.
                let isWhole = unsafe event.pointee.transferred == event.pointee.length
                let isShort = isTransfer && result > 0 && !isWhole
                if !isShort { unsafe event.pointee.status.insert(.done) }
                return true
            case .fail(let failure):
                let isStopped = unsafe slot.pointee.machine.traits.contains(.stopping)
                unsafe event.pointee.failure =
                    isStopped && failure.errno == Errnos.canceled
                    ? stopFailure(number) : explain(failure, number)
                unsafe event.pointee.status.insert(.done)
                keepLoss(number)
                return true
            case .next:
                statistics.continuations &+= 1
                unsafe slot.pointee.machine.traits.remove(.mayBlock)
                begin(number)
                return false
            case .again(let mayBlock):
                let known = knownSyncFailure(number)
                if !known.isNone {
                    step = unsafe slot.pointee.machine.fail(known)
                    continue
                }
                statistics.retries &+= 1
                if mayBlock { unsafe slot.pointee.machine.traits.insert(.mayBlock) }
                begin(number)
                return false
            case .examine:
                step = examine(number)
            case .ignore:
                statistics.staleCompletions &+= 1
                return false
            }
        }
    }

    /// The kernel refused to continue where a transfer stopped: does the file end there?
    @usableFromInline
    mutating func examine(_ number: UInt32) -> EventStateMachine.Step {
        let slot = unsafe slots.slot(number)
        let event = unsafe slots.event(number)
        guard let facts = try? driver.inspect(unsafe event.pointee.descriptor) else {
            return unsafe slot.pointee.machine.fail(.kernel(Errnos.badDescriptor))
        }
        // Where the file does not say what it needs, 4096 suits every common device.
        let alignment = facts.offsetAlignment > 0 ? facts.offsetAlignment : 4096
        return unsafe slot.pointee.machine.examined(
            offset: event.pointee.offset, size: facts.size, alignment: alignment,
            transferred: &event.pointee.movedLength)
    }

    /// Moves a finished event out and frees its slot.
    @inlinable @inline(__always)
    mutating func handOver(_ number: UInt32) -> IOEvent<Callback> {
        conclude(number)
        return takeOut(number, stayForNow(number))
    }

    /// Settles the accounts of a finished event that leaves the engine.
    @inlinable @inline(__always)
    mutating func conclude(_ number: UInt32) {
        let slot = unsafe slots.slot(number)
        let event = unsafe slots.event(number)
        unsafe slot.pointee.machine.handedOver()
        // A completion that comes again is recognised: no request has this generation.
        unsafe slot.pointee.generation &+= 1
        statistics.completed &+= 1
        if unsafe slot.pointee.record == nil {
            // Refused, abandoned or without a file: the buffer that is there was not touched.
        } else if unsafe event.pointee.action == .read {
            let end = unsafe event.pointee.rangeStart &+ event.pointee.transferred
            let count = unsafe event.pointee.buffer.count
            if unsafe end > count || (end < count && event.pointee.movesWholeBuffer) {
                unsafe event.pointee.buffer.setCount(end)
            }
        } else if unsafe event.pointee.action == .readVectored {
            unsafe event.pointee.vectored?.setValid(event.pointee.transferred)
        }
        if unsafe !event.pointee.failure.isNone { statistics.failed &+= 1 }
        if let times = unsafe submissionTimes, latencies != nil {
            latencies?.record(
                nanoseconds: unsafe driver.now().nanoseconds &- times[Int(number)])
        }
        if unsafe event.pointee.status.contains(.hasPolicy) { concludePolicy(number) }
    }

    /// The event is no longer in flight on its descriptor.
    @inlinable @inline(__always)
    mutating func leaveDescriptor(_ number: UInt32) {
        let slot = unsafe slots.slot(number)
        guard let record = unsafe slot.pointee.record else { return }
        let event = unsafe slots.event(number)
        unsafe record.pointee.inFlight &-= 1
        if unsafe event.pointee.action.changesData { unsafe noteWriteSettled(number, record) }
        if unsafe slot.pointee.machine.traits.contains(.isGuest) {
            unsafe event.pointee.descriptorObject?.release()
            unsafe endRegistrationOfIdle(record)
        } else if unsafe event.pointee.unretainedObject != nil {
            unsafe letGo(record)
        }
    }

    /// As `leaveDescriptor`, but where nothing special is about the event it stays entered while
    /// somebody looks at it, in case it is submitted again.
    @inlinable @inline(__always)
    mutating func stayForNow(_ number: UInt32) -> Stay {
        let slot = unsafe slots.slot(number)
        let event = unsafe slots.event(number)
        guard let record = unsafe slot.pointee.record,
            unsafe !slot.pointee.machine.traits.contains(.isGuest)
        else {
            leaveDescriptor(number)
            return unsafe Stay()
        }
        let action = unsafe event.pointee.action
        if action != .read, action.changesData { unsafe noteWriteSettled(number, record) }
        return unsafe Stay(
            record: record, descriptor: event.pointee.descriptor,
            object: event.pointee.unretainedObject)
    }

    /// What stayed entered, leaves.
    @inlinable @inline(__always)
    mutating func leave(_ stay: Stay) {
        guard let record = unsafe stay.record else { return }
        unsafe record.pointee.inFlight &-= 1
        if unsafe stay.object != nil { unsafe letGo(record) }
    }

    /// One event less holds the record's object.
    @inlinable @inline(__always)
    mutating func letGo(_ record: UnsafeMutablePointer<DescriptorRecord>) {
        unsafe record.pointee.objectInFlight &-= 1
        if unsafe record.pointee.objectInFlight == 0 && !record.pointee.isLingering {
            unsafe letGoOfObject(record)
        }
    }
}

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Nothing of a descriptor object is in flight any more: it is let go, now or before the next wait.
    @usableFromInline
    mutating func letGoOfObject(_ record: UnsafeMutablePointer<DescriptorRecord>) {
        if unsafe lingering.count < lingersAtMost {
            unsafe record.pointee.isLingering = true
            unsafe lingering.append(record)
        } else {
            unsafe pause(record)
            unsafe record.pointee.dropObject()
        }
    }

    /// Lets go what is idle now that the loop is about to wait.
    @inlinable @inline(__always)
    mutating func endLingering() {
        for index in unsafe 0..<lingering.count where unsafe lingering[index].pointee.isIdle {
            return endLingeringOfIdle()
        }
    }

    @usableFromInline
    mutating func endLingeringOfIdle() {
        var index = 0
        while unsafe index < lingering.count {
            if unsafe lingering[index].pointee.isIdle {
                endLingering(at: index)
            } else {
                index += 1
            }
        }
    }

    /// Lets everything go: the loop ends.
    @usableFromInline
    mutating func endLingeringOfAll() {
        while unsafe !lingering.isEmpty { endLingering(at: 0) }
    }

    /// Lets a record's object go, because the number now belongs to another.
    @usableFromInline
    mutating func endLingering(of record: UnsafeMutablePointer<DescriptorRecord>) {
        guard unsafe record.pointee.isLingering,
            let index = unsafe lingering.firstIndex(of: record)
        else { return }
        endLingering(at: index)
    }

    private mutating func endLingering(at index: Int) {
        let record = unsafe lingering.remove(at: index)
        unsafe record.pointee.isLingering = false
        // With events in flight, the last of them lets go.
        if unsafe record.pointee.objectInFlight > 0 { return }
        unsafe pause(record)
        unsafe record.pointee.dropObject()
    }
}

/// Where an event that is looked at where it lies is still entered.
@safe @frozen @usableFromInline
struct Stay {
    /// Nil: nowhere.
    @usableFromInline let record: UnsafeMutablePointer<DescriptorRecord>?
    @usableFromInline let descriptor: Int32
    /// To compare with. The record keeps the object.
    @usableFromInline let object: Unmanaged<IODescriptor>?

    @inlinable
    init(
        record: UnsafeMutablePointer<DescriptorRecord>? = nil, descriptor: Int32 = -1,
        object: Unmanaged<IODescriptor>? = nil
    ) {
        unsafe self.record = record
        self.descriptor = descriptor
        unsafe self.object = object
    }
}
