internal import CLinux
internal import Glibc
public import IOEngineCore
internal import Testing

/// Takes a file's first `size` bytes, which were synced, out of the page cache, and sees to it that they are
/// gone: the kernel leaves pages alone that somebody is just looking at.
public func makeCold(_ file: IODescriptor, size: Int) throws {
    let mapping = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, file.rawValue, 0)
    let memory = unsafe try #require(mapping, "mmap answers an address or -1")
    try #require(unsafe memory != UnsafeMutableRawPointer(bitPattern: -1), "the file can be mapped")
    defer { _ = unsafe munmap(memory, size) }
    var residents = [UInt8](repeating: 0, count: (size + 4095) / 4096)
    for _ in 0..<10_000 {
        try #require(posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_DONTNEED) == 0)
        try #require(unsafe mincore(memory, size, &residents) == 0)
        if residents.allSatisfy({ $0 & 1 == 0 }) { return }
        sched_yield()
    }
    try #require(Bool(false), "the pages stay in the cache")
}

/// Makes a file cold again and again, until `read` has found it so: reading ahead begins before the kernel
/// says that it would have to wait, and the bytes may be there by then. Whether that is so, the kernel is
/// asked beside: where it says half of the time that a read would wait, `read` has to find that, too.
///
/// - Parameter offset: Of the page that the kernel is asked for; in bytes.
public func makeCold(
    _ file: IODescriptor, size: Int, at offset: Int, until read: () throws -> Bool
) throws {
    var waits = 0
    for _ in 0..<20 {
        try makeCold(file, size: size)
        if try read() { return }
        try makeCold(file, size: size)
        if wouldWait(file, at: offset) { waits += 1 }
    }
    // With the same chance for both, one in a million.
    if waits >= 10 {
        Issue.record("of 20 reads none found the file cold, and the kernel did \(waits) times")
    } else {
        print("not tested: the device was done before the kernel looked, \(20 - waits) times of 20")
    }
}

/// Whether the kernel answers EAGAIN to a read of a page that may not wait.
private func wouldWait(_ file: IODescriptor, at offset: Int) -> Bool {
    var page = [UInt8](repeating: 0, count: 4096)
    return unsafe page.withUnsafeMutableBytes { bytes in
        var vector = unsafe iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
        let count = unsafe preadv2(file.rawValue, &vector, 1, off_t(offset), RWF_NOWAIT)
        return count < 0 && errno == EAGAIN
    }
}
