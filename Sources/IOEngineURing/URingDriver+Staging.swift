internal import CLibURing
internal import Glibc
public import IOEngineCore

extension URingDriver {
    public mutating func stage(_ request: IORequest) -> IOStaging {
        guard inFlight < depth, let entry = unsafe ring.nextEntry() ?? makeRoom() else {
            return .full
        }
        unsafe prepare(entry, request)
        unsafe entry.pointee.user_data = request.token.rawValue
        inFlight &+= 1
        return .queued
    }

    @inline(__always)
    private func prepare(_ entry: UnsafeMutablePointer<io_uring_sqe>, _ request: IORequest) {
        let isFixed = request.registeredDescriptor >= 0
        let descriptor = isFixed ? request.registeredDescriptor : request.descriptor
        let offset = UInt64(bitPattern: request.offset)
        let length = UInt32(truncatingIfNeeded: request.length)
        switch request.action {
        case .read:
            if request.registeredRegion >= 0 {
                unsafe io_uring_prep_read_fixed(
                    entry, descriptor, request.address, length, offset, request.registeredRegion)
            } else {
                unsafe io_uring_prep_read(entry, descriptor, request.address, length, offset)
            }
        case .write:
            if request.registeredRegion >= 0 {
                unsafe io_uring_prep_write_fixed(
                    entry, descriptor, request.address, length, offset, request.registeredRegion)
            } else {
                unsafe io_uring_prep_write(entry, descriptor, request.address, length, offset)
            }
        case .readVectored:
            unsafe io_uring_prep_readv(
                entry, descriptor, request.address?.assumingMemoryBound(to: iovec.self),
                request.vectorCount, offset)
        case .writeVectored:
            unsafe io_uring_prep_writev(
                entry, descriptor, request.address?.assumingMemoryBound(to: iovec.self),
                request.vectorCount, offset)
        case .syncData:
            unsafe io_uring_prep_fsync(entry, descriptor, URingConstants.syncDataOnly)
        case .syncFull:
            unsafe io_uring_prep_fsync(entry, descriptor, 0)
        case .allocate:
            unsafe io_uring_prep_fallocate(
                entry, descriptor, request.allocationMode.rawValue, off_t(request.offset),
                off_t(request.length))
        case .noOperation:
            unsafe io_uring_prep_nop(entry)
        }
        if request.action.isTransfer {
            // A ring that is not polled refuses high priority, which other interfaces ignore there.
            unsafe entry.pointee.rw_flags = .init(
                truncatingIfNeeded: request.flags.rawValue & ~IOFlags.highPriority.rawValue)
            unsafe entry.pointee.ioprio = request.priority.rawValue
        }
        unsafe entry.pointee.flags =
            (isFixed ? URingConstants.entryFixedFile : 0)
            | (request.mayBlock ? URingConstants.entryAsynchronous : 0)
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
        unsafe io_uring_prep_cancel64(entry, token.rawValue, 0)
        unsafe entry.pointee.user_data = InternalEntry.cancellation
        cancellations += 1
        cancelled[slot] = token.rawValue
        return .requested
    }

    /// The submission queue is full although the depth is not reached: cancellations and the entry that
    /// listens took places. Handing all of it to the kernel makes room.
    mutating func makeRoom() -> UnsafeMutablePointer<io_uring_sqe>? { unsafe ring.flushedEntry() }
}
