internal import SystemPackage

/// The one place where an errno becomes words.
enum ErrnoTable {
    /// How a failed sync is cleared.
    private static let clearing =
        "clearSyncError() of the IODescriptor, or for a plain number clearSyncError(_:) of the context or "
        + "loop"

    /// The symbolic name, as manuals print it.
    static func name(of errno: Errno) -> String {
        switch errno {
        case .notPermitted: "EPERM"
        case .noSuchFileOrDirectory: "ENOENT"
        case .interrupted: "EINTR"
        case .ioError: "EIO"
        case .noSuchAddressOrDevice: "ENXIO"
        case .badFileDescriptor: "EBADF"
        case .resourceTemporarilyUnavailable: "EAGAIN"
        case .noMemory: "ENOMEM"
        case .permissionDenied: "EACCES"
        case .badAddress: "EFAULT"
        case .resourceBusy: "EBUSY"
        case .fileExists: "EEXIST"
        case .notDirectory: "ENOTDIR"
        case .isDirectory: "EISDIR"
        case .invalidArgument: "EINVAL"
        case .tooManyOpenFilesInSystem: "ENFILE"
        case .tooManyOpenFiles: "EMFILE"
        case .textFileBusy: "ETXTBSY"
        case .fileTooLarge: "EFBIG"
        case .noSpace: "ENOSPC"
        case .illegalSeek: "ESPIPE"
        case .readOnlyFileSystem: "EROFS"
        case .brokenPipe: "EPIPE"
        case .noFunction: "ENOSYS"
        case .overflow: "EOVERFLOW"
        case .notSupported: "EOPNOTSUPP"
        case .diskQuotaExceeded: "EDQUOT"
        case .canceled: "ECANCELED"
        case .notRecoverable: "ENOTRECOVERABLE"
        case .timedOut: "ETIMEDOUT"
        case .deadlock: "EDEADLK"
        default: "errno \(errno.rawValue)"
        }
    }

    /// What failed and where: "read of 4096 bytes at offset 512 on descriptor 5".
    static func subject(of error: IOError) -> String {
        let place =
            error.descriptor >= 0 || error.reason == .negativeDescriptor
            ? " on descriptor \(error.descriptor)" : ""
        switch error.operation {
        case .event(let action):
            switch action {
            case .read, .readVectored, .write, .writeVectored, .allocate:
                return
                    "\(word(for: action)) of \(error.length) bytes at offset \(error.offset)\(place)"
            case .syncData, .syncFull, .noOperation:
                return word(for: action) + place
            }
        case .open: return "opening" + place
        case .close: return "closing" + place
        case .drain: return "draining"
        case .setUp: return "setting up" + place
        case .registration: return "registering" + place
        }
    }

    private static func word(for action: IOAction) -> String {
        switch action {
        case .read: "read"
        case .write: "write"
        case .readVectored: "vectored read"
        case .writeVectored: "vectored write"
        case .syncData: "data sync"
        case .syncFull: "sync"
        case .allocate: "allocate"
        case .noOperation: "no-operation"
        }
    }

    /// What the person can do about it.
    static func advice(for error: IOError) -> String {
        switch error.reason {
        case .kernel, .advice, .refusedSystemCall: kernelAdvice(for: error)
        case .negativeOffset: "an offset counts bytes from the start of the file; use 0 or more"
        case .offsetTooLarge:
            "offset and length together exceed 2^63 - 1 bytes; use a smaller offset"
        case .zeroLength:
            "there is nothing to move; give a read a buffer with capacity, a write one with valid "
                + "bytes, an allocate a length above 0"
        case .alreadyDone: "the event is done; call restart(at:) before submitting it again"
        case .negativeDescriptor: "that is no open file; check what open returned"
        case .closedDescriptor: "the descriptor is closed; open the file again"
        case .rangeBeyondBuffer:
            "the range does not lie within the buffer's capacity; use a smaller range or a larger buffer"
        case .rangeBeyondValidBytes:
            "a write sends only valid bytes, and a read must not leave a gap behind them; fill the "
                + "buffer first, for example with resize(to:)"
        case .misaligned:
            "direct IO on this file needs offset, length and memory address to be multiples of "
                + "\(error.alignment) bytes; align them, or open the file without O_DIRECT"
        case .notSeekable: noOffsets
        case .pathOnly:
            "it was opened with O_PATH, which only names a file; open it for reading or writing"
        case .isDirectory: "it is a directory; open a file inside it"
        case .notOpenForReading: "it is open for writing only; open it for reading as well"
        case .notOpenForWriting: "it is open for reading only; open it for writing as well"
        case .fileSizeLimit:
            "the process may not write that far; raise RLIMIT_FSIZE (ulimit -f)"
        case .tooLargeToSplit:
            "appending and atomic writes are never split: one request holds as many buffers as the "
                + "driver takes vectors, and at most "
                + "\(IORequest.maximumTransfer) bytes; write less at a time"
        case .zeroWrite: "the device took no bytes and gave no error; check the device"
        case .excessTransfer:
            "the driver reported more bytes than were asked for; that is a bug in it"
        case .retriesExhausted:
            "it was interrupted or put off too often in a row, as where no thread can be started for "
                + "it; submit it again later, or raise RLIMIT_NPROC (ulimit -u) or the container's "
                + "pids.max"
        case .unsupportedAction: "this driver does not do that; choose another driver"
        case .driverFull:
            "the driver takes no request although none is in flight; that is a bug in it"
        case .stickySyncError:
            "an earlier sync or durable write of this descriptor failed, and what was written before "
                + "may be lost; write it again, then call \(clearing)"
        case .dataMayBeLost:
            kernelAdvice(for: error)
                + "; what was written before may be lost, so write it again, then call "
                + "\(clearing); until then every sync of this descriptor fails"
        case .abandoned:
            "it may still be done; the engine keeps the memory until the kernel lets go of it"
        case .cancelled: "it was cancelled before it was done; what it moved until then counts"
        case .deadlinePassed:
            "its deadline passed before it was done; give it more time, or look at the device"
        case .chainBroken:
            "the event before it in its chain did not succeed; its own error says why"
        case .slotsAbandoned:
            "requests that were given up hold the slots it needs until the kernel lets go of them; look "
                + "at the device, submit it again later, or make the queue deeper"
        case .chainTooLong:
            "a chain has at most as many events as the loop's depth and the queue's capacity; raise "
                + "them, or submit shorter chains one after the other"
        case .forked:
            "this process is a fork, and engines are not inherited; make a new one here, and fork "
                + "before there are threads"
        case .crashed:
            "the disk crashed meanwhile; all, some or nothing of it may be done, so recover from what "
                + "is there, on a new loop"
        }
    }

    private static let noOffsets =
        "pipes, sockets, terminals, eventfds and the like have no offsets; only files and block "
        + "devices are supported"

    /// Direct reads and syncs fail where direct and buffered use of a file meet.
    private static func mayHaveMet(_ operation: IOError.Operation) -> Bool {
        if case .event(let action) = operation { action.isRead || action.isSync } else { false }
    }

    private static func kernelAdvice(for error: IOError) -> String {
        switch error.errno {
        case .badFileDescriptor:
            "the descriptor is closed, or not open for this; check the open mode"
        case .invalidArgument: "the kernel refuses these arguments for this file"
        case .isDirectory: "it is a directory; open a file inside it"
        case .illegalSeek: noOffsets
        case .noSpace: "the file system is full; free some space"
        case .diskQuotaExceeded: "the disk quota is used up; free some space or raise it"
        case .fileTooLarge:
            "the file would grow beyond what RLIMIT_FSIZE or the file system allows"
        case .notSupported: "the kernel or this file system does not support the flags or the mode"
        case .ioError where mayHaveMet(error.operation):
            "the device failed, or direct and buffered use of the same file met, as on xfs where a "
                + "direct read passes the end of a file written buffered; the kernel's log says which"
        case .ioError: "the device failed; look into the kernel's log"
        case .resourceTemporarilyUnavailable: "it would have had to wait; submit it again later"
        case .canceled: "it was cancelled before it was done"
        case .notPermitted, .permissionDenied: "permission is missing"
        case .noMemory:
            "the kernel has no memory for it; for registered memory raise RLIMIT_MEMLOCK (ulimit -l)"
        case .readOnlyFileSystem: "the file system is mounted read-only"
        case .noSuchFileOrDirectory: "there is no such file; check the path"
        case .tooManyOpenFiles: "too many open files; raise RLIMIT_NOFILE (ulimit -n)"
        case .noFunction: "this kernel does not have it"
        default: error.errno.description
        }
    }
}
