internal import CLinux
internal import Glibc
internal import SystemPackage

/// Direct reads in smaller and larger steps, for where the kernel does not tell what it wants. Nothing is
/// written.
struct DirectTrial {
    /// The file that is read, open for reading and direct.
    let descriptor: Int32
    /// Its size: beyond its end any alignment seems good.
    let size: Int64

    /// Larger steps than this no file system asks for.
    private static let largest = 64 << 10

    /// What direct IO needs; nil: the file is too short, or cannot be read.
    func run() -> DirectIOReport? {
        var memory: UnsafeMutableRawPointer?
        guard unsafe posix_memalign(&memory, 2 * Self.largest, 2 * Self.largest) == 0,
            let memory = unsafe memory
        else { return nil }
        defer { unsafe free(memory) }
        guard let offset = smallest({ unsafe read(memory, $0, at: $0) }) else { return nil }
        // As long as the file allows: short reads are taken at addresses that longer ones are not.
        let length = min(Int(size), Self.largest) / offset * offset
        guard let address = smallest({ unsafe read(memory + $0, length, at: 0) }) else {
            return nil
        }
        return DirectIOReport(
            isSupported: true, offsetAlignment: offset, readOffsetAlignment: offset,
            memoryAlignment: address, source: .trial)
    }

    /// The smallest power of two that is taken; nil: none, or an error that says nothing about it.
    private func smallest(_ isTaken: (Int) -> Bool?) -> Int? {
        var step = 1
        while step <= Self.largest {
            guard let answer = isTaken(step) else { return nil }
            if answer { return step }
            step *= 2
        }
        return nil
    }

    /// Whether a read is taken; nil: nobody knows.
    private func read(_ memory: UnsafeMutableRawPointer, _ length: Int, at offset: Int) -> Bool? {
        guard Int64(offset + length) <= size else { return nil }
        for _ in 0..<16 {
            let count = unsafe pread(descriptor, memory, length, off_t(offset))
            if count > 0 { return true }
            if count < 0, errno == EINTR { continue }
            return count < 0 && errno == EINVAL ? false : nil
        }
        return nil
    }
}
