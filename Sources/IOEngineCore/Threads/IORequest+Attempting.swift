internal import CLinux
internal import Glibc

extension IORequest {
    /// The most bytes that are copied on a thread which others wait for: 10 to 30 us.
    package static var maximumInline: Int { 128 << 10 }

    /// Whether ``attempt()`` may be worth a try.
    ///
    /// Reads through the page cache are, because RWF_NOWAIT says when the device would be needed, and
    /// so is what lies in memory. Writes are not: a frozen file system blocks them whatever their
    /// flags, ext4 refuses RWF_NOWAIT for all of them and xfs for pages that are not dirty already.
    /// Direct IO is not: there RWF_NOWAIT waits for the device. (All seen on Linux 6.18.)
    package var isAttemptable: Bool {
        guard action.isTransfer, length <= Self.maximumInline, !mayBlock, priority == .inherited
        else { return false }
        return traits.contains(.inMemory) || (action.isRead && !isDirect)
    }

    /// Whether the descriptor is direct: as the loop says, else as the kernel says, with a system call.
    package var isDirect: Bool {
        if traits.contains(.known) { return traits.contains(.direct) }
        let status = fcntl(descriptor, F_GETFL)
        return status >= 0 && status & CLinux.O_DIRECT != 0
    }

    /// Does it on this thread if it need not wait. Only if ``isAttemptable``; one system call, three
    /// at the end of a file.
    ///
    /// - Returns: The result, or nil: it was not done and must go to a thread that may wait.
    package func attempt() -> Int? {
        if traits.contains(.inMemory) { return perform() }
        let result = perform(adding: .noWait)
        if result == length || flags.contains(.noWait) { return result }
        if result >= 0 { return isEnd(after: result) ? result : nil }
        switch Int32(truncatingIfNeeded: -result) {
        case EAGAIN, EOPNOTSUPP: return nil
        // A seccomp filter that does not know `preadv2`: without flags, other calls do it.
        case EPERM, ENOSYS: return nil
        default: return result
        }
    }

    /// A short read: does the file end there, or only what is in the page cache?
    private func isEnd(after moved: Int) -> Bool {
        if moved == 0 { return isPastSize }
        // Where in the list it stopped is not worth finding out.
        guard action == .read else { return false }
        var rest = self
        unsafe rest.address = address.map { unsafe $0 + moved }
        rest.offset += Int64(moved)
        rest.length -= moved
        return rest.perform(adding: .noWait) == 0 && rest.isPastSize
    }

    /// Whether the file's size says that nothing is at the offset. Some kernels answer 0 bytes to a
    /// read that must not wait wherever the page cache ends.
    private var isPastSize: Bool {
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            && offset >= status.st_size
    }
}
