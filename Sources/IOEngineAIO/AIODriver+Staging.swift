internal import Glibc
public import IOEngineCore

extension AIODriver {
    @inlinable @inline(__always)
    public mutating func stage(_ request: IORequest) -> IOStaging {
        guard inFlight < depth else { return .full }
        precondition(Int(request.token.slot) < depth, "slots of tokens are below the depth")
        inFlight &+= 1
        // The expected case first.
        if request.action == .read, request.traits == [.known, .direct], !request.mayBlock {
            stageForKernel(request, .read, request.length, request.flags)
        } else {
            unsafe stageOther(
                request.token, request.action, request.descriptor, request.address,
                request.vectorCount, request.offset, request.length, request.flags,
                request.allocationMode, request.priority, request.mayBlock, request.traits,
                request.alignmentLogarithm)
        }
        return .queued
    }

    /// The request in parts: passed whole, it would be put into memory for the expected case, too.
    @usableFromInline
    mutating func stageOther(
        _ token: IOToken, _ action: IOAction, _ descriptor: Int32,
        _ address: UnsafeMutableRawPointer?, _ vectorCount: UInt32, _ offset: Int64, _ length: Int,
        _ flags: IOFlags, _ allocationMode: IOAllocationMode, _ priority: IOPriority,
        _ mayBlock: Bool, _ traits: IODescriptorTraits, _ alignmentLogarithm: UInt8
    ) {
        unsafe stageOther(
            IORequest(
                token: token, action: action, descriptor: descriptor, address: address,
                vectorCount: vectorCount, offset: offset, length: length, flags: flags,
                allocationMode: allocationMode, priority: priority, mayBlock: mayBlock,
                traits: traits, alignmentLogarithm: alignmentLogarithm))
    }

    private mutating func stageOther(_ request: IORequest) {
        switch request.action {
        case .read, .readVectored, .write, .writeVectored:
            if request.traits == [.known, .direct], !request.mayBlock {
                stageDirect(request)
            } else if request.isAttemptable {
                attempts.append(request)
            } else if !request.mayBlock, !request.traits.contains(.inMemory), request.isDirect {
                stageDirect(request)
            } else {
                hop(request)
            }
        case .syncData, .syncFull:
            if request.mayBlock {
                hop(request)
            } else {
                var request = request
                // The kernel refuses a sync with anything in these.
                request.offset = 0
                unsafe request.address = nil
                let isFull = request.action == .syncFull
                stageForKernel(request, isFull ? .syncFull : .syncData, 0, [])
            }
        case .allocate: hop(request)
        case .noOperation: finished.push(request.token, 0)
        }
    }

    @inline(__always)
    private mutating func stageDirect(_ request: IORequest) {
        var flags = request.flags
        if !request.action.isRead, !flags.contains(.noWait) {
            // Past the end of a file and into holes, a direct write blocks inside `io_submit`.
            unsafe trials[Int(request.token.slot)] = request
            trialCount &+= 1
            flags.insert(.noWait)
        }
        switch request.action {
        case .read: stageForKernel(request, .read, request.length, flags)
        case .write: stageForKernel(request, .write, request.length, flags)
        case .readVectored:
            stageForKernel(request, .readVectored, Int(request.vectorCount), flags)
        default: stageForKernel(request, .writeVectored, Int(request.vectorCount), flags)
        }
    }

    /// Sets everything that an earlier request of the slot may have set.
    ///
    /// - Parameter length: Bytes, or vectors.
    @inlinable @inline(__always)
    mutating func stageForKernel(
        _ request: IORequest, _ command: AIOCommand, _ length: Int, _ flags: IOFlags
    ) {
        let entry = unsafe entries + Int(request.token.slot)
        unsafe entry.pointee.data = request.token.rawValue
        unsafe entry.pointee.flags = flags.rawValue
        unsafe entry.pointee.command = command
        unsafe entry.pointee.priority = request.priority.rawValue
        unsafe entry.pointee.descriptor = request.descriptor
        unsafe entry.pointee.address = request.address
        unsafe entry.pointee.length = length
        unsafe entry.pointee.offset = request.offset
        let hasPriority = request.priority != .inherited && request.action.isTransfer
        unsafe entry.pointee.fields = hasPriority ? AIOEntry.priorityCounts : 0
        unsafe batch[batchCount] = unsafe entry
        batchCount &+= 1
    }

    /// Has the context poll the eventfd, so that a wake-up is an event like any other. In front, where
    /// it is recognised.
    mutating func listen() {
        let entry = unsafe entries + depth
        unsafe entry.pointee = AIOEntry(listeningTo: wakeUp.descriptor)
        unsafe batch[batchCount] = batch[0]
        unsafe batch[0] = unsafe entry
        batchCount &+= 1
        isListening = true
        attention.insert(.startsListening)
        attention.remove(.stoppedListening)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        if attempts.remove(token) || unstage(token) {
            finished.push(token, -Int(ECANCELED))
            return .cancelled
        }
        let slot = Int(token.slot)
        // What the kernel has, runs to its end: `io_cancel` knows no file.
        if slot < depth, unsafe entries[slot].data == token.rawValue { return .tooLate }
        if finished.contains(token) { return .tooLate }
        let answer = pool.cancel(token)
        // A helper that is stuck in it may be replaced.
        if answer == .tooLate { hasStagedHops = true }
        return answer
    }

    /// Takes back what the kernel has not got. False: it is not here.
    private mutating func unstage(_ token: IOToken) -> Bool {
        guard
            let index = (0..<batchCount).first(where: { index in
                unsafe batch[index]?.pointee.data == token.rawValue
            })
        else { return false }
        unsafe batch[index]?.pointee.data = AIOEntry.noToken
        for i in index..<batchCount - 1 { unsafe batch[i] = batch[i + 1] }
        batchCount -= 1
        let trial = unsafe trials + Int(token.slot)
        if unsafe trial.pointee.token == token {
            unsafe trial.pointee = Self.noTrial
            trialCount -= 1
        }
        return true
    }
}
