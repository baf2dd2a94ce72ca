internal import CLibAIO
internal import Glibc
public import IOEngineCore

extension AIODriver {
    public mutating func stage(_ request: IORequest) -> IOStaging {
        guard inFlight < depth else { return .full }
        precondition(Int(request.token.slot) < depth, "slots of tokens are below the depth")
        inFlight &+= 1
        switch request.action {
        case .read, .readVectored, .write, .writeVectored:
            stageTransfer(request)
        case .syncData, .syncFull:
            if request.mayBlock { hop(request) } else { stageForKernel(request, flags: []) }
        case .allocate: hop(request)
        case .noOperation: finished.push(request.token, 0)
        }
        return .queued
    }

    @inline(__always)
    private mutating func stageTransfer(_ request: IORequest) {
        // The expected case first.
        if request.traits == [.known, .direct], !request.mayBlock {
            stageDirect(request)
        } else if request.isAttemptable {
            attempts.append(request)
        } else if !request.mayBlock, !request.traits.contains(.inMemory), request.isDirect {
            stageDirect(request)
        } else {
            hop(request)
        }
    }

    @inline(__always)
    private mutating func stageDirect(_ request: IORequest) {
        if request.action.isRead || request.flags.contains(.noWait) {
            stageForKernel(request, flags: request.flags)
        } else {
            // Past the end of a file and into holes, a direct write blocks inside `io_submit`.
            unsafe trials[Int(request.token.slot)] = request
            trialCount &+= 1
            stageForKernel(request, flags: request.flags.union(.noWait))
        }
    }

    @inline(__always)
    private mutating func stageForKernel(_ request: IORequest, flags: IOFlags) {
        let block = unsafe blocks + Int(request.token.slot)
        let offset = Int64(request.offset)
        switch request.action {
        case .read:
            unsafe io_prep_pread(
                block, request.descriptor, request.address, request.length, offset)
        case .write:
            unsafe io_prep_pwrite(
                block, request.descriptor, request.address, request.length, offset)
        case .readVectored:
            unsafe io_prep_preadv(
                block, request.descriptor, request.address?.assumingMemoryBound(to: iovec.self),
                Int32(request.vectorCount), offset)
        case .writeVectored:
            unsafe io_prep_pwritev(
                block, request.descriptor, request.address?.assumingMemoryBound(to: iovec.self),
                Int32(request.vectorCount), offset)
        case .syncData: unsafe io_prep_fdsync(block, request.descriptor)
        default: unsafe io_prep_fsync(block, request.descriptor)
        }
        unsafe block.pointee.aio_rw_flags = flags.rawValue
        if request.priority != .inherited, request.action.isTransfer {
            unsafe block.pointee.u.c.flags = Self.flagPriority
            unsafe block.pointee.aio_reqprio = Int16(bitPattern: request.priority.rawValue)
        }
        unsafe Self.set(request.token.rawValue, in: block)
        unsafe batch[batchCount] = block
        batchCount &+= 1
    }

    /// IOCB_FLAG_IOPRIO (Linux 4.18).
    private static var flagPriority: UInt32 { 2 }

    /// Has the context poll the eventfd, so that a wake-up is an event like any other. In front, where
    /// it is recognised.
    mutating func listen() {
        let block = unsafe blocks + depth
        unsafe io_prep_poll(block, wakeUp.descriptor, POLLIN)
        unsafe Self.set(Self.wakeUpMark, in: block)
        unsafe batch[batchCount] = batch[0]
        unsafe batch[0] = block
        batchCount &+= 1
        isListening = true
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        if attempts.remove(token) || unstage(token) {
            finished.push(token, -Int(ECANCELED))
            return .cancelled
        }
        let slot = Int(token.slot)
        // What the kernel has, runs to its end: `io_cancel` knows no file.
        if slot < depth, unsafe Self.token(of: blocks + slot) == token.rawValue { return .tooLate }
        return finished.contains(token) ? .tooLate : pool.cancel(token)
    }

    /// Takes back what the kernel has not got. False: it is not here.
    private mutating func unstage(_ token: IOToken) -> Bool {
        guard
            let index = (0..<batchCount).first(where: { index in
                unsafe batch[index].map { unsafe Self.token(of: $0) == token.rawValue } ?? false
            })
        else { return false }
        if let block = unsafe batch[index] { unsafe Self.set(Self.noToken, in: block) }
        for i in index..<batchCount - 1 { unsafe batch[i] = batch[i + 1] }
        batchCount -= 1
        let trial = unsafe trials + Int(token.slot)
        if unsafe trial.pointee.token == token {
            unsafe trial.pointee = Self.noTrial
            trialCount -= 1
        }
        return true
    }

    /// The token in an entry; ``noToken`` while it has no request.
    @inline(__always)
    static func token(of block: UnsafeMutablePointer<iocb>) -> UInt64 {
        unsafe UInt64(UInt(bitPattern: block.pointee.data))
    }

    @inline(__always)
    static func set(_ token: UInt64, in block: UnsafeMutablePointer<iocb>) {
        unsafe block.pointee.data = UnsafeMutableRawPointer(bitPattern: UInt(token))
    }
}
