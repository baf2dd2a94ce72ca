/// Events that begin only when something else has ended: syncs, members of chains, direct appends.
///
/// Nothing can wait in a circle, because an event only ever waits for events accepted before it.
extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    // MARK: Syncs

    /// A write or an allocate was accepted.
    @inlinable @inline(__always)
    func noteWrite(_ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>) {
        unsafe record.pointee.writesOpen &+= 1
        unsafe epochs[Int(number)] = record.pointee.epoch
    }

    /// It has settled, whatever its result.
    @inlinable @inline(__always)
    mutating func noteWriteSettled(
        _ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        if unsafe epochs[Int(number)] == record.pointee.epoch {
            unsafe record.pointee.writesOpen &-= 1
        } else {
            unsafe noteWriteSettledBeforeSync(number, record)
        }
    }

    /// The write came before a sync that was held: it counts for the first such sync that is still held.
    @usableFromInline
    mutating func noteWriteSettledBeforeSync(
        _ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        let epoch = unsafe epochs[Int(number)]
        var link = unsafe record.pointee.heldFirst
        while link != 0 {
            let policy = unsafe policies + Int(link - 1)
            // A difference of wrapping counters that are less than 2^31 apart.
            if unsafe Int32(bitPattern: policy.pointee.epoch &- epoch) >= 0 {
                unsafe policy.pointee.writesBefore -= 1
                return unsafe releaseSyncs(record)
            }
            link = unsafe policy.pointee.heldNext
        }
        unsafe record.pointee.writesOpen -= 1
    }

    /// A sync waits for the writes accepted before it, and for no later ones.
    @usableFromInline
    mutating func waitForWrites(
        _ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        if unsafe record.pointee.writesOpen == 0 && record.pointee.heldFirst == 0 { return }
        hold(number, .barrier)
        heldSyncs += 1
        statistics.syncsHeld += 1
        let policy = unsafe policies + Int(number)
        unsafe policy.pointee.writesBefore = unsafe record.pointee.writesOpen
        unsafe policy.pointee.epoch = unsafe record.pointee.epoch
        unsafe policy.pointee.heldNext = 0
        unsafe record.pointee.writesOpen = 0
        unsafe record.pointee.epoch &+= 1
        unsafe append(number, first: &record.pointee.heldFirst, last: &record.pointee.heldLast)
    }

    /// Lets the oldest syncs go whose writes have all settled.
    private mutating func releaseSyncs(_ record: UnsafeMutablePointer<DescriptorRecord>) {
        while unsafe record.pointee.heldFirst != 0 {
            let number = unsafe record.pointee.heldFirst - 1
            guard unsafe policies[Int(number)].writesBefore == 0 else { return }
            unsafe remove(
                number, first: &record.pointee.heldFirst, last: &record.pointee.heldLast)
            heldSyncs -= 1
            endHold(number, .barrier)
        }
    }

    /// A held sync ends without having begun: its writes count for whoever comes next.
    private mutating func leaveBarrier(
        _ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        let policy = unsafe policies + Int(number)
        let next = unsafe policy.pointee.heldNext
        let writes = unsafe policy.pointee.writesBefore
        unsafe remove(number, first: &record.pointee.heldFirst, last: &record.pointee.heldLast)
        heldSyncs -= 1
        if next == 0 {
            unsafe record.pointee.writesOpen += writes
        } else {
            unsafe policies[Int(next - 1)].writesBefore += writes
            unsafe releaseSyncs(record)
        }
    }

    // MARK: Appends

    /// Direct appends of one file go one at a time: on xfs, several in flight take the same place and
    /// overwrite each other (seen on Linux 6.18).
    @usableFromInline
    mutating func waitForTurn(
        _ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        if unsafe record.pointee.appendTurn == 0 {
            return unsafe takeTurn(number, record)
        }
        hold(number, .append)
        unsafe append(
            number, first: &record.pointee.appendFirst, last: &record.pointee.appendLast)
    }

    private func takeTurn(_ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>) {
        unsafe record.pointee.appendTurn = number + 1
        unsafe policies[Int(number)].hasAppendTurn = true
        unsafe slots.event(number).pointee.status.insert(.hasPolicy)
    }

    private mutating func passTurn(_ record: UnsafeMutablePointer<DescriptorRecord>) {
        let next = unsafe record.pointee.appendFirst
        unsafe record.pointee.appendTurn = 0
        guard next != 0 else { return }
        unsafe remove(
            next - 1, first: &record.pointee.appendFirst, last: &record.pointee.appendLast)
        unsafe takeTurn(next - 1, record)
        endHold(next - 1, .append)
    }

    // MARK: Holding

    /// Keeps an accepted event from beginning, for one more reason.
    @usableFromInline
    mutating func hold(_ number: UInt32, _ reason: HoldReasons) {
        let slot = unsafe slots.slot(number)
        unsafe policies[Int(number)].holds.insert(reason)
        unsafe slots.event(number).pointee.status.insert(.hasPolicy)
        if unsafe slot.pointee.machine.state == .waiting {
            unsafe slot.pointee.machine.hold()
            heldCount += 1
        }
    }

    /// One reason less; without any left the event begins.
    @usableFromInline
    mutating func endHold(_ number: UInt32, _ reason: HoldReasons) {
        unsafe policies[Int(number)].holds.remove(reason)
        guard unsafe policies[Int(number)].holds.isEmpty else { return }
        let slot = unsafe slots.slot(number)
        unsafe slot.pointee.machine.release()
        heldCount -= 1
        // A sync before this one may have failed meanwhile: what it lost stays lost.
        if let record = unsafe slot.pointee.record {
            let failure = unsafe knownRefusal(number, record)
            if !failure.isNone { return refuse(number, failure) }
        }
        // A bad member of a chain, whose turn it is to say so.
        let known = unsafe slots.event(number).pointee.failure
        if !known.isNone { return refuse(number, known) }
        begin(number)
    }

    /// What a sync must neither begin nor be repeated after, and not succeed with: the kernel tells of
    /// lost data once, and another sync was told meanwhile.
    @usableFromInline
    func knownSyncFailure(_ number: UInt32) -> IOFailure {
        let event = unsafe slots.event(number)
        guard unsafe event.pointee.action.isSync,
            let record = unsafe slots.slot(number).pointee.record
        else { return .none }
        return unsafe knownRefusal(number, record)
    }

    /// A held event ends without having begun.
    @usableFromInline
    mutating func failHeld(_ number: UInt32, _ failure: IOFailure) {
        if let record = unsafe slots.slot(number).pointee.record {
            unsafe leaveLists(number, record)
        }
        heldCount -= 1
        refuse(number, failure)
    }

    /// Takes an event out of the lists in which it waits.
    @usableFromInline
    mutating func leaveLists(
        _ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        let holds = unsafe policies[Int(number)].holds
        if holds.contains(.barrier) { unsafe leaveBarrier(number, record) }
        if holds.contains(.append) {
            unsafe remove(
                number, first: &record.pointee.appendFirst, last: &record.pointee.appendLast)
        }
        unsafe policies[Int(number)].holds = []
    }

    private func append(_ number: UInt32, first: inout UInt32, last: inout UInt32) {
        unsafe policies[Int(number)].heldNext = 0
        if last == 0 {
            first = number + 1
        } else {
            unsafe policies[Int(last - 1)].heldNext = number + 1
        }
        last = number + 1
    }

    private func remove(_ number: UInt32, first: inout UInt32, last: inout UInt32) {
        let next = unsafe policies[Int(number)].heldNext
        if first == number + 1 {
            first = next
            if next == 0 { last = 0 }
            return
        }
        var link = first
        while link != 0 {
            let policy = unsafe policies + Int(link - 1)
            if unsafe policy.pointee.heldNext == number + 1 {
                unsafe policy.pointee.heldNext = next
                if next == 0 { last = link }
                return
            }
            link = unsafe policy.pointee.heldNext
        }
        assertionFailure("what waits is in its list")
    }

    // MARK: Ends

    /// A finished event that was more than a plain transfer: lets go what waited for it.
    @usableFromInline
    mutating func concludePolicy(_ number: UInt32) {
        let event = unsafe slots.event(number)
        let policy = unsafe policies[Int(number)]
        unsafe policies[Int(number)] = SlotPolicy()
        unsafe event.pointee.status.remove(.hasPolicy)
        timers.remove(number)
        bytesInFlight -= policy.bytes
        if unsafe slots.slot(number).pointee.machine.state == .abandoned {
            abandonedBytes -= policy.bytes
        }
        if policy.countsForDrain { drainRemaining -= 1 }
        if policy.hasAppendTurn, let record = unsafe slots.slot(number).pointee.record {
            unsafe passTurn(record)
        }
        guard policy.chainNext != 0 else { return }
        let succeeded = unsafe event.pointee.failure.isNone && event.pointee.isDone
        continueChain(policy.chainNext - 1, policy.chainNextGeneration, succeeded)
    }

    /// The event before this one in a chain has ended.
    @usableFromInline
    mutating func continueChain(_ number: UInt32, _ generation: UInt32, _ succeeded: Bool) {
        let slot = unsafe slots.slot(number)
        // It may have been cancelled, and its slot used anew.
        guard
            unsafe slot.pointee.machine.state == .held
                && slot.pointee.acceptedGeneration == generation
        else { return }
        if succeeded {
            endHold(number, .chain)
        } else {
            failHeld(number, IOFailure(errno: Errnos.canceled, reason: .chainBroken))
        }
    }
}
