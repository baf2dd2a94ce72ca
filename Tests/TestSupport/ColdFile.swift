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
/// says that it would have to wait, and where the device shares a processor with it, the bytes may be
/// there by then, each time.
///
/// - Returns: False, with a word about it: no read found it cold.
public func makeCold(
    _ file: IODescriptor, size: Int, until read: () throws -> Bool
) throws -> Bool {
    for _ in 0..<20 {
        try makeCold(file, size: size)
        if try read() { return true }
    }
    print("not tested: the device was done before the kernel looked, 20 times")
    return false
}
