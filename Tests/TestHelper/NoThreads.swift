import Glibc
import IOEngineCore
import SystemPackage

/// No thread can be started: what needs one says so instead of waiting for ever, and what needs none
/// goes on. Not as root, who has no such limit. First argument: a path.
enum NoThreads: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        let file = try IODescriptor.open(
            FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
        _ = try file.fileDescriptor.writeAll([UInt8](repeating: 3, count: 4096))
        var loop = try HelperLoop(depth: 4, driver: try make(4))
        // RLIMIT_NPROC. The soft limit only: at the end of the process a leak check needs a thread.
        let threads: Int32 = 6
        let before = softLimit(threads)
        setSoftLimit(threads, 1)
        defer { setSoftLimit(threads, before) }
        let read = try perform(&loop, .read(file, into: IOBuffer(capacity: 4096), at: 0))
        check(read.bytes == 4096, "a hit in the page cache: \(read)")
        let allocate = try perform(&loop, .allocate(file, at: 0, length: 8192))
        check(
            allocate.error?.errno == .resourceTemporarilyUnavailable
                && allocate.error?.reason == .retriesExhausted, "an allocate: \(allocate)")
        let again = try perform(&loop, .read(file, into: IOBuffer(capacity: 4096), at: 0))
        check(again.bytes == 4096, "a hit afterwards: \(again)")
    }
}
