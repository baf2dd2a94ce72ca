internal import CLinux
internal import Glibc

extension IORequest {
    /// Does it now, on this thread, however long that takes, with one system call.
    ///
    /// - Parameter extra: Flags beside the request's own.
    /// - Returns: Bytes moved, 0 for what moves none, or a negative errno.
    package func perform(adding extra: IOFlags = []) -> Int {
        // preadv2 and pwritev2 take an offset of -1 for the file's own position.
        if offset < 0, action.isTransfer { return -Int(EINVAL) }
        let flags = Int32(bitPattern: self.flags.union(extra).rawValue)
        let offset = off_t(self.offset)
        let answer: Int
        switch action {
        case .read where flags == 0:
            answer = unsafe pread(descriptor, address, length, offset)
        case .write where flags == 0:
            answer = unsafe pwrite(descriptor, address, length, offset)
        case .read, .write:
            var vector = unsafe iovec(iov_base: address, iov_len: length)
            answer = unsafe transfer(&vector, 1, offset, flags)
        case .readVectored, .writeVectored:
            let vectors = unsafe address?.assumingMemoryBound(to: iovec.self)
            answer = unsafe transfer(vectors, Int32(vectorCount), offset, flags)
        case .syncData: answer = Int(fdatasync(descriptor))
        case .syncFull: answer = Int(fsync(descriptor))
        case .allocate:
            answer = Int(fallocate(descriptor, allocationMode.rawValue, offset, off_t(length)))
        case .noOperation: answer = 0
        }
        return answer < 0 ? refusal(errno) : answer
    }

    /// The answer that every driver gives.
    ///
    /// A write through the page cache that must not wait answers EOPNOTSUPP from the system call and
    /// EAGAIN from io_uring where the file system knows RWF_NOWAIT for other things (ext4, Linux 6.18).
    private func refusal(_ number: Int32) -> Int {
        let others: IOFlags = [
            .highPriority, .dataSync, .sync, .noWait, .append, .noAppend, .dontCache,
        ]
        guard number == EOPNOTSUPP, action.isWrite, flags.contains(.noWait),
            flags.isSubset(of: others), !traits.contains(.inMemory), !isDirect
        else { return -Int(number) }
        return -Int(EAGAIN)
    }

    @inline(__always)
    private func transfer(
        _ vectors: UnsafePointer<iovec>?, _ count: Int32, _ offset: off_t, _ flags: Int32
    ) -> Int {
        action.isRead
            ? unsafe preadv2(descriptor, vectors, count, offset, flags)
            : unsafe pwritev2(descriptor, vectors, count, offset, flags)
    }
}
