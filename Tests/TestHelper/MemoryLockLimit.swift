import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage

/// RLIMIT_MEMLOCK of 64 KiB and no CAP_IPC_LOCK, which whoever starts this took away: a pool of
/// 4 MiB cannot be registered, and everything works without. First argument: a path.
func memoryLockLimit(_ arguments: [String]) throws {
    setLimit(8, 65536)
    let file = try IODescriptor.open(
        FilePath(arguments[0]), .readWrite, options: [.create, .truncate], direct: true)
    let pool = try IOBufferPool(count: 64, bufferCapacity: 65536)
    var loop = try makeLoop(depth: 8)
    let answer = loop.register(pool)
    check(answer == .unavailable(errno: ENOMEM), "registering answered \(answer)")
    guard var buffer = pool.take() else { return check(false, "the pool is full") }
    buffer.fill(with: 7)
    let write = try perform(&loop, .write(file, from: buffer, at: 0))
    check(write.bytes == 65536, "a write from the pool: \(write)")
    guard let empty = pool.take() else { return check(false, "the pool is full") }
    let read = try perform(&loop, .read(file, into: empty, at: 0))
    check(read.bytes == 65536 && read.count == 65536, "a read into the pool: \(read)")
    let small = try IOBufferPool(count: 2, bufferCapacity: 4096)
    let second = loop.register(small)
    check(second == .registered(index: 0), "what fits the limit is registered: \(second)")
}

/// No descriptor is left: the set-up fails with EMFILE and names the setting, and leaks none.
func noDescriptors(_ arguments: [String]) throws {
    setLimit(7, 64)
    var taken: [FileDescriptor] = []
    let null: FilePath = "/dev/null"
    while let one = try? FileDescriptor.open(null, .readOnly) { taken.append(one) }
    for freed in 0..<2 {
        do {
            let driver = try URingDriver(depth: 4)
            check(false, "a driver without a descriptor: \(driver.capabilities.setUp)")
        } catch {
            check(error.errno == .tooManyOpenFiles, "with \(freed) left: \(error)")
            check(
                error.advice.contains("RLIMIT_NOFILE"),
                "the advice with \(freed) left: \(error.advice)")
        }
        try taken.removeLast().close()
    }
    // Two are enough, for ring and eventfd, and each driver gives them back.
    for _ in 0..<100 { _ = try URingDriver(depth: 4).capabilities.depth }
}
