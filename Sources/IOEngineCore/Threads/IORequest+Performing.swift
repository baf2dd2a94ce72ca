internal import CLinux
internal import Glibc

extension IORequest {
    /// Does it now, on this thread, however long that takes, with one system call; with others
    /// where a filter refuses that one.
    ///
    /// - Parameter extra: Flags beside the request's own.
    /// - Returns: Bytes moved, 0 for what moves none, or a negative errno.
    package func perform(adding extra: IOFlags = []) -> Int {
        // preadv2 and pwritev2 take an offset of -1 for the file's own position.
        if offset < 0, action.isTransfer { return -Int(EINVAL) }
        let wanted = self.flags.union(extra)
        let flags = Int32(bitPattern: wanted.rawValue)
        let offset = off_t(self.offset)
        let answer: Int
        switch action {
        case .read where flags == 0:
            answer = unsafe pread(descriptor, address, length, offset)
        case .write where flags == 0:
            answer = unsafe pwrite(descriptor, address, length, offset)
        case .read, .write, .readVectored, .writeVectored:
            // Without flags the older calls do, which every filter knows.
            answer = unsafe withVectors { vectors, count in
                flags == 0
                    ? unsafe transfer(vectors, count) : unsafe transfer(vectors, count, flags)
            }
        case .syncData: answer = Int(fdatasync(descriptor))
        case .syncFull: answer = Int(fsync(descriptor))
        case .allocate:
            answer = Int(fallocate(descriptor, allocationMode.rawValue, offset, off_t(length)))
        case .noOperation: answer = 0
        }
        return answer < 0 ? performOtherwise(wanted, errno) : answer
    }

    /// The call failed: where that was a filter's doing, another call may do.
    private func performOtherwise(_ flags: IOFlags, _ number: Int32) -> Int {
        guard let answer = otherwise(flags, number) else { return refusal(number) }
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
}

extension IORequest {
    /// The bytes of a transfer as a list.
    func withVectors(_ body: (UnsafePointer<iovec>?, Int32) -> Int) -> Int {
        if action.isVectored {
            let vectors = unsafe address?.assumingMemoryBound(to: iovec.self)
            return unsafe body(vectors, Int32(vectorCount))
        }
        var vector = unsafe iovec(iov_base: address, iov_len: length)
        return unsafe body(&vector, 1)
    }

    func transfer(_ vectors: UnsafePointer<iovec>?, _ count: Int32) -> Int {
        action.isRead
            ? unsafe preadv(descriptor, vectors, count, off_t(offset))
            : unsafe pwritev(descriptor, vectors, count, off_t(offset))
    }

    func transfer(_ vectors: UnsafePointer<iovec>?, _ count: Int32, _ flags: Int32) -> Int {
        action.isRead
            ? unsafe preadv2(descriptor, vectors, count, off_t(offset), flags)
            : unsafe pwritev2(descriptor, vectors, count, off_t(offset), flags)
    }
}
