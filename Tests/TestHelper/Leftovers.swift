import Glibc
import IOEngineCore
import SystemPackage
import TestSupport

/// Makes and drops drivers with anything in flight, and counts what the process has afterwards. First
/// argument: a path.
enum Leftovers: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        // A sanitizer has a thread of its own.
        let threads = Possessions.now.threads
        let path = FilePath(arguments[0])
        let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
        let direct = try IODescriptor.open(path, .readWrite, direct: true)
        try use(make, file, direct)
        let descriptors = Possessions.now.descriptors
        for _ in 0..<40 { try use(make, file, direct) }
        check(Possessions.now.descriptors == descriptors, "descriptors are left over")
        // Helpers and contexts end by themselves, a little later.
        check(
            eventually(seconds: 20) { Possessions.now.threads <= threads },
            "threads are left over")
        check(
            eventually(seconds: 20) { Possessions.now.contexts == 0 },
            "contexts of Linux AIO are left over")
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
}
