public import IOEngineCore

extension URingDriver {
    @inlinable @inline(__always)
    public mutating func stage(_ request: IORequest) -> IOStaging {
        // The expected case: one buffer, and room.
        if request.action.rawValue <= IOAction.write.rawValue, inFlight < depth,
            let entry = unsafe ring.nextEntry()
        {
            unsafe prepareTransfer(entry, request)
            inFlight &+= 1
            return .queued
        }
        return unsafe stageOther(
            request.token, request.action, request.descriptor, request.address,
            request.vectorCount, request.offset, request.length, request.flags,
            request.allocationMode, request.priority, request.registeredDescriptor,
            request.registeredRegion, request.mayBlock)
    }

    /// The request in parts: passed whole, it would be put into memory for the expected case, too.
    @usableFromInline
    mutating func stageOther(
        _ token: IOToken, _ action: IOAction, _ descriptor: Int32,
        _ address: UnsafeMutableRawPointer?, _ vectorCount: UInt32, _ offset: Int64, _ length: Int,
        _ flags: IOFlags, _ allocationMode: IOAllocationMode, _ priority: IOPriority,
        _ registeredDescriptor: Int32, _ registeredRegion: Int32, _ mayBlock: Bool
    ) -> IOStaging {
        unsafe stageOther(
            IORequest(
                token: token, action: action, descriptor: descriptor, address: address,
                vectorCount: vectorCount, offset: offset, length: length, flags: flags,
                allocationMode: allocationMode, priority: priority,
                registeredDescriptor: registeredDescriptor, registeredRegion: registeredRegion,
                mayBlock: mayBlock))
    }

    private mutating func stageOther(_ request: IORequest) -> IOStaging {
        guard inFlight < depth, let entry = unsafe ring.nextEntry() ?? makeRoom() else {
            return .full
        }
        switch request.action {
        case .read, .write: unsafe prepareTransfer(entry, request)
        case .readVectored:
            unsafe prepare(entry, request, .readVectored, request.vectorCount)
        case .writeVectored:
            unsafe prepare(entry, request, .writeVectored, request.vectorCount)
        case .syncData, .syncFull:
            unsafe prepare(entry, request, .sync, 0)
            unsafe entry.pointee.offset = 0
            unsafe entry.pointee.address = 0
            unsafe entry.pointee.operationFlags =
                request.action == .syncData ? URingConstants.syncDataOnly : 0
        case .allocate:
            let mode = UInt32(bitPattern: request.allocationMode.rawValue)
            unsafe prepare(entry, request, .allocate, mode)
            unsafe entry.pointee.address = UInt64(truncatingIfNeeded: request.length)
            unsafe entry.pointee.operationFlags = 0
        case .noOperation:
            unsafe entry.pointee = URingEntry(.nothing)
            unsafe entry.pointee.userData = request.token.rawValue
        }
        if !request.action.isTransfer { unsafe entry.pointee.priority = 0 }
        inFlight &+= 1
        return .queued
    }

    /// A read or write with one buffer.
    @inlinable @inline(__always)
    func prepareTransfer(_ entry: UnsafeMutablePointer<URingEntry>, _ request: IORequest) {
        let isRegistered = request.registeredRegion >= 0
        let operation: URingOperation =
            request.action == .read
            ? isRegistered ? .readRegistered : .read
            : isRegistered ? .writeRegistered : .write
        unsafe prepare(entry, request, operation, UInt32(truncatingIfNeeded: request.length))
        if isRegistered {
            unsafe entry.pointee.region = UInt16(truncatingIfNeeded: request.registeredRegion)
        }
    }

    /// Sets everything that an earlier request may have set; the registered region to none.
    ///
    /// - Parameter length: Bytes, or what the operation has in that place.
    @inlinable @inline(__always)
    func prepare(
        _ entry: UnsafeMutablePointer<URingEntry>, _ request: IORequest,
        _ operation: URingOperation, _ length: UInt32
    ) {
        let isFixed = request.registeredDescriptor >= 0
        unsafe entry.pointee.operation = operation
        unsafe entry.pointee.flags =
            (isFixed ? URingConstants.entryFixedFile : 0)
            | (request.mayBlock ? URingConstants.entryAsynchronous : 0)
        unsafe entry.pointee.priority = request.priority.rawValue
        unsafe entry.pointee.descriptor =
            isFixed ? request.registeredDescriptor : request.descriptor
        unsafe entry.pointee.offset = UInt64(bitPattern: request.offset)
        unsafe entry.pointee.address = UInt64(UInt(bitPattern: request.address))
        unsafe entry.pointee.length = length
        // A ring that is not polled refuses high priority, which other interfaces ignore there.
        unsafe entry.pointee.operationFlags =
            request.flags.rawValue & ~IOFlags.highPriority.rawValue
        unsafe entry.pointee.userData = request.token.rawValue
        unsafe entry.pointee.region = 0
        unsafe entry.pointee.personality = 0
        unsafe entry.pointee.fileIndex = 0
        unsafe entry.pointee.reserved = (0, 0)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        let slot = Int(token.slot)
        guard slot < depth else { return .unknown }
        if cancelled[slot] == token.rawValue { return .requested }
        // The completion queue has room for one cancellation a request, for a few fewer at the
        // largest depth.
        let room = Int(ring.completionCapacity) - depth - URingDriver.internalEntries
        guard cancellations < min(depth, room), let entry = unsafe ring.nextEntry() ?? makeRoom()
        else { return .tooLate }
        unsafe entry.pointee = URingEntry(cancelling: token.rawValue)
        unsafe entry.pointee.userData = InternalEntry.firstCancellation + UInt64(slot)
        cancellations += 1
        cancelled[slot] = token.rawValue
        return .requested
    }

    /// The submission queue is full although the depth is not reached: cancellations and the entry that
    /// listens took places. Handing all of it to the kernel makes room.
    mutating func makeRoom() -> UnsafeMutablePointer<URingEntry>? { unsafe ring.flushedEntry() }
}
