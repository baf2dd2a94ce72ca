import Glibc
import IOEngineCore
import SystemPackage

/// Makes and drops drivers with anything in flight, and counts what the process has afterwards. First
/// argument: a path.
enum Leftovers: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        // A sanitizer has a thread of its own.
        let threads = count("/proc/self/task")
        let path = FilePath(arguments[0])
        let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
        let direct = try IODescriptor.open(path, .readWrite, direct: true)
        try use(make, file, direct)
        let descriptors = count("/proc/self/fd")
        for _ in 0..<40 { try use(make, file, direct) }
        check(count("/proc/self/fd") == descriptors, "descriptors are left over")
        // Helpers and contexts end by themselves, a little later.
        let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
        while count("/proc/self/task") > threads, IOInstant.monotonic() < deadline { sched_yield() }
        check(count("/proc/self/task") <= threads, "threads are left over")
        while contexts > 0, IOInstant.monotonic() < deadline { sched_yield() }
        check(contexts == 0, "contexts of Linux AIO are left over")
    }

    private static func use<Driver: IODriver & ~Copyable>(
        _ make: (Int) throws -> Driver, _ file: IODescriptor, _ direct: IODescriptor
    ) throws {
        var loop = try HelperLoop(depth: 16, driver: try make(16))
        _ = loop.waker
        for i in 0..<4 {
            let offset = Int64(i) * 4096
            _ = loop.submit(.write(file, from: IOBuffer(zeroed: 4096), at: offset))
            _ = loop.submit(.write(direct, from: IOBuffer(zeroed: 4096), at: offset))
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: offset))
            _ = loop.submit(.allocate(file, at: offset, length: 4096))
        }
        _ = loop.wait(minimum: 3)
    }

    private static func count(_ folder: String) -> Int {
        guard let stream = unsafe opendir(folder) else { return -1 }
        defer { unsafe closedir(stream) }
        var count = 0
        while let entry = unsafe readdir(stream) {
            if unsafe entry.pointee.d_name.0 != UInt8(ascii: ".") { count += 1 }
        }
        return count
    }

    /// The rings that contexts map into the process.
    private static var contexts: Int {
        guard let stream = unsafe fopen("/proc/self/maps", "r") else { return -1 }
        defer { unsafe fclose(stream) }
        var count = 0
        var line = [CChar](repeating: 0, count: 512)
        while unsafe fgets(&line, 512, stream) != nil {
            if unsafe strstr(line, "/[aio]") != nil { count += 1 }
        }
        return count
    }
}
