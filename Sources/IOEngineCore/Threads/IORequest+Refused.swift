internal import CLinux
internal import Glibc

/// What a thread does where a seccomp filter refuses the system call that it would use.
extension IORequest {
    /// Does it with another system call, if a filter refused the usual one and another does the
    /// same.
    ///
    /// - Parameters:
    ///   - flags: The request's own and others.
    ///   - number: The errno of the usual one.
    /// - Returns: What that call answered, with its errno set if negative; nil: nothing was done.
    func otherwise(_ flags: IOFlags, _ number: Int32) -> Int? {
        switch action {
        case .read, .write, .readVectored, .writeVectored:
            flags.isEmpty ? transferPlainly(number) : transferWithoutFlags(flags, number)
        case .syncData:
            // More than was asked for.
            Self.refuses(.fdatasync, number) ? Int(fsync(descriptor)) : nil
        case .syncFull, .allocate, .noOperation: nil
        }
    }

    /// The next of three calls that do the same.
    private func transferPlainly(_ number: Int32) -> Int? {
        if !action.isVectored {
            guard Self.refuses(action.isRead ? .pread64 : .pwrite64, number) else { return nil }
            return unsafe withVectors { unsafe transfer($0, $1) }
        }
        guard Self.refuses(action.isRead ? .preadv : .pwritev, number) else { return nil }
        return unsafe withVectors { unsafe transfer($0, $1, 0) }
    }

    /// `preadv2` and `pwritev2` alone have flags. High priority means something to polled rings
    /// only, and a durable write is a write and a sync. Nothing else does what the other flags ask
    /// for.
    private func transferWithoutFlags(_ flags: IOFlags, _ number: Int32) -> Int? {
        guard Self.refuses(action.isRead ? .preadv2 : .pwritev2, number) else { return nil }
        let durable: IOFlags = action.isWrite ? [.dataSync, .sync] : []
        guard flags.isSubset(of: durable.union(.highPriority)) else {
            // As the filter or the C library may have put it: EPERM, ENOSYS, EOPNOTSUPP.
            errno = ENOSYS
            return -1
        }
        let moved = unsafe withVectors { unsafe transfer($0, $1) }
        if moved <= 0 || flags.isDisjoint(with: durable) { return moved }
        let synced = flags.contains(.sync) ? fsync(descriptor) : fdatasync(descriptor)
        return synced < 0 ? -1 : moved
    }

    /// Whether an errno is a filter's, for this call. The C library makes EOPNOTSUPP of ENOSYS for
    /// calls with flags.
    private static func refuses(_ call: SystemCall, _ number: Int32) -> Bool {
        (SystemCall.mayBeRefusal(number) || number == EOPNOTSUPP) && call.isRefused
    }
}
