extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Gives the driver the next request of an accepted event, or keeps it until there is room.
    @inlinable @inline(__always)
    mutating func stage(_ number: UInt32) {
        if waiting.isEmpty, offer(number) { return }
        stageLater(number)
    }

    /// Stages the next request of an event that is not new. Nothing begins or goes on once the
    /// driver is dead: the event ends with what it has.
    @usableFromInline
    mutating func begin(_ number: UInt32) {
        if isDead { return refuse(number, .kernel(Errnos.canceled)) }
        stage(number)
    }

    /// Offers the event's next request to the driver. False: no room.
    @inlinable @inline(__always)
    mutating func offer(_ number: UInt32) -> Bool {
        // The driver of a forked process belongs to its parent.
        if unsafe life.pointee.isForked { return false }
        let slot = unsafe slots.slot(number)
        let action = unsafe slots.event(number).pointee.action
        guard action == .read || action == .write, let record = unsafe slot.pointee.record,
            unsafe !slot.pointee.machine.traits.contains(.isGuest)
        else { return offerOther(number) }
        unsafe slot.pointee.generation &+= 1
        let request = unsafe makeTransfer(number, slot, record)
        guard driver.stage(request) == .queued else { return false }
        unsafe slot.pointee.machine.staged()
        return true
    }

    /// The same for everything but a transfer with one buffer. Apart, because a request that may come from two
    /// places is put into memory first.
    @inlinable @inline(never)
    mutating func offerOther(_ number: UInt32) -> Bool {
        let slot = unsafe slots.slot(number)
        unsafe slot.pointee.generation &+= 1
        let request =
            unsafe slot.pointee.machine.traits.contains(.isGuest)
            ? makeGuestRequest(number, slot) : makeRequest(number, slot)
        guard driver.stage(request) == .queued else { return false }
        unsafe slot.pointee.machine.staged()
        return true
    }

    /// The driver is full: flush it once, else queue the event behind those that wait already.
    @inlinable @inline(never)
    mutating func stageLater(_ number: UInt32) {
        if unsafe life.pointee.isForked {
            return refuse(number, IOFailure(errno: Errnos.canceled, reason: .forked))
        }
        statistics.fullQueues &+= 1
        if waiting.isEmpty {
            // Hands over what is staged, which may be all that was in the way.
            flush()
            if offer(number) { return }
        }
        waiting.push(number)
    }

    /// Stages what had to wait, oldest first, until the driver is full again.
    @inlinable @inline(never)
    mutating func stageWaiting() {
        while !waiting.isEmpty {
            let number = waiting.pop()
            let known = isDead ? .kernel(Errnos.canceled) : knownSyncFailure(number)
            if !known.isNone {
                refuse(number, known)
                continue
            }
            if !offer(number) {
                waiting.pushFirst(number)
                return
            }
        }
    }

    /// A read or write with one buffer.
    @inlinable @inline(__always)
    func makeTransfer(
        _ number: UInt32, _ slot: UnsafeMutablePointer<LoopSlot>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> IORequest {
        let event = unsafe slots.event(number)
        let action = unsafe event.pointee.action
        // What needs a decision comes first, so that nothing waits in registers for it.
        let region =
            registeredPool == 0 ? -1 : unsafe registeredRegion(of: event.pointee.buffer)
        let done = unsafe event.pointee.transferred
        let length = unsafe min(event.pointee.length &- done, IORequest.maximumTransfer)
        unsafe slot.pointee.requested = length
        return unsafe IORequest(
            token: IOToken(slot: number, generation: slot.pointee.generation),
            action: action, descriptor: event.pointee.descriptor,
            address: event.pointee.buffer.base + (event.pointee.rangeStart &+ done),
            offset: event.pointee.offset &+ Int64(done), length: length,
            flags: event.pointee.flags, priority: event.pointee.priority,
            registeredDescriptor: record.pointee.registeredIndex, registeredRegion: region,
            mayBlock: slot.pointee.machine.traits.contains(.mayBlock),
            traits: record.pointee.traits, alignmentLogarithm: record.pointee.alignmentLogarithm)
    }

    /// The registered region that a buffer lies in, or -1.
    @inlinable
    func registeredRegion(of buffer: borrowing IOBuffer) -> Int32 {
        guard let owner = buffer.owner,
            unsafe UInt(bitPattern: Unmanaged.passUnretained(owner).toOpaque()) == registeredPool
        else { return -1 }
        return hasOneRegion ? 0 : unsafe registeredStorage?.region(of: buffer.base) ?? -1
    }

    /// Requests without bytes, and vectored ones.
    @inlinable @inline(__always)
    func makeRequest(
        _ number: UInt32, _ slot: UnsafeMutablePointer<LoopSlot>
    ) -> IORequest {
        let event = unsafe slots.event(number)
        var request = unsafe IORequest(
            token: IOToken(slot: number, generation: slot.pointee.generation),
            action: event.pointee.action, descriptor: event.pointee.descriptor,
            offset: event.pointee.offset, length: event.pointee.length,
            flags: event.pointee.flags, allocationMode: event.pointee.allocationMode,
            priority: event.pointee.priority,
            registeredDescriptor: slot.pointee.record?.pointee.registeredIndex ?? -1,
            mayBlock: slot.pointee.machine.traits.contains(.mayBlock),
            traits: slot.pointee.record?.pointee.traits ?? [],
            alignmentLogarithm: slot.pointee.record?.pointee.alignmentLogarithm ?? 0)
        unsafe slot.pointee.requested = 0
        guard let storage = unsafe event.pointee.vectored else { return request }
        let done = unsafe event.pointee.transferred
        let (first, count, bytes) = unsafe storage.vectors(
            from: done, reading: request.action.isRead, maximumVectors: maximumVectors,
            maximumBytes: IORequest.maximumTransfer)
        unsafe slot.pointee.requested = bytes
        request.offset += Int64(done)
        request.length = bytes
        if count == 1, let only = unsafe first?.pointee {
            // One piece, or a driver without vectors.
            request.action = request.action.isRead ? .read : .write
            unsafe request.address = only.base
        } else {
            unsafe request.address = UnsafeMutableRawPointer(first)
            request.vectorCount = UInt32(count)
        }
        return request
    }
}
