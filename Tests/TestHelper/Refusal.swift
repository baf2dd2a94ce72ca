import CLinux
import Glibc
import IOEngine
import IOEngineAIO
import IOEngineThreads
import SystemPackage

/// A real seccomp filter refuses io_uring, and Linux AIO where asked for: the next driver serves, and the
/// report says why. Arguments: the errno's number; "uring" or "both"; a path.
func refusal(_ arguments: [String]) throws {
    let errno = Int32(arguments[0]) ?? ENOSYS
    let refusesAIO = arguments[1] == "both"
    try refuse(errno, refusesAIO: refusesAIO)
    let driver = try SystemDriver(
        depth: 4, configuration: SystemDriverConfiguration(choice: .automatic, logger: nil))
    let report = driver.report
    check(driver.kind == (refusesAIO ? .threads : .aio), "chosen: \(report)")
    check(report.isFallback, "no fallback: \(report)")
    for attempt in report.attempts.dropLast() {
        check(attempt.error?.errno == Errno(rawValue: errno), "\(attempt)")
        check(attempt.advice.contains("seccomp"), "the advice: \(attempt)")
    }
    let file = try IODescriptor.open(FilePath(arguments[2]), .readWrite, options: [.create])
    var loop = try HelperLoop<SystemDriver>(depth: 4, driver: driver)
    let write = try perform(&loop, .write(file, from: IOBuffer(copying: [1, 2, 3]), at: 0))
    check(write.bytes == 3, "a write: \(write)")
    let read = try perform(&loop, .read(file, into: IOBuffer(capacity: 8), at: 0))
    check(read.bytes == 3 && read.count == 3, "a read: \(read)")
}

/// A real seccomp filter does not know `preadv2` and `pwritev2`, and then no eventfds either. Argument: a path.
func oldFilter(_ arguments: [String]) throws {
    try refuse([UInt32(SYS_preadv2), UInt32(SYS_pwritev2)], EPERM)
    let file = try IODescriptor.open(FilePath(arguments[0]), .readWrite, options: [.create])
    func use<Driver: IODriver & ~Copyable>(_ driver: consuming Driver) throws {
        let name = driver.capabilities.name
        var loop = try HelperLoop<Driver>(depth: 4, driver: driver)
        let bytes = [UInt8](repeating: 7, count: 4096)
        let write = try perform(&loop, .write(file, from: IOBuffer(copying: bytes), at: 0))
        check(write.bytes == 4096, "a write of \(name): \(write)")
        let read = try perform(&loop, .read(file, into: IOBuffer(capacity: 4096), at: 0))
        check(read.bytes == 4096, "a read of \(name): \(read)")
    }
    try use(try AIODriver(depth: 4))
    try use(try ThreadPoolDriver(depth: 4))
    try refuse([UInt32(SYS_eventfd2)], EPERM)
    do throws(IOError) {
        _ = try AIODriver(depth: 4)
        check(false, "a driver without an eventfd")
    } catch {
        check(error.errno == .notPermitted && error.advice.contains("eventfd2"), "\(error)")
    }
}

/// A kernel that answers 0 to reads which must not wait, wherever the file ends. Argument: a path.
enum EarlyEnds: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        // A filter that refuses with errno 0 answers 0.
        try refuse([UInt32(SYS_preadv2)], 0)
        let file = try IODescriptor.open(
            FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
        var loop = try HelperLoop(depth: 4, driver: try make(4))
        let bytes = [UInt8](repeating: 7, count: 5000)
        let write = try perform(&loop, .write(file, from: IOBuffer(copying: bytes), at: 0))
        check(write.bytes == 5000, "a write: \(write)")
        for (offset, expected) in [(0, 5000), (4096, 904), (4999, 1), (5000, 0), (1 << 30, 0)] {
            let read = try perform(
                &loop, .read(file, into: IOBuffer(capacity: 8192), at: Int64(offset)))
            check(read.bytes == expected && read.error == nil, "a read at \(offset): \(read)")
        }
    }
}

/// A real seccomp filter does not know `statx`: a path is told about as before. Arguments: the
/// errno's number; the path of a file.
func refusedStatx(_ arguments: [String]) throws {
    let before = try PathReport(arguments[1])
    try refuse([UInt32(SYS_statx)], Int32(arguments[0]) ?? EPERM)
    let after = try PathReport(arguments[1])
    check(after.kind == before.kind && after.size == before.size, "\(after), not \(before)")
    check(
        after.fileSystem == before.fileSystem && after.device == before.device,
        "\(after), not \(before)")
    check(after.direct.isSupported == before.direct.isSupported, "\(after), not \(before)")
}

/// Refuses io_uring, and Linux AIO where asked for, for good.
func refuse(_ errno: Int32, refusesAIO: Bool) throws {
    // io_uring_setup has one number everywhere; io_setup's is the machine's.
    try refuse([425] + (refusesAIO ? [UInt32(SYS_io_setup)] : []), errno)
}

/// Has the kernel answer these system calls of this process with an errno, for good.
func refuse(_ calls: [UInt32], _ errno: Int32) throws {
    // struct sock_filter: code in 16 bits, two jumps of 8, an operand of 32.
    func step(_ code: UInt64, then yes: UInt64 = 0, _ operand: UInt32) -> UInt64 {
        code | yes << 16 | UInt64(operand) << 32
    }
    let load: UInt64 = 0x20
    let ifEqual: UInt64 = 0x15
    let answer: UInt64 = 0x06
    var program = [step(load, 0)]
    for (i, call) in calls.enumerated() {
        program.append(step(ifEqual, then: UInt64(calls.count - i), call))
    }
    program.append(step(answer, 0x7fff_0000))
    program.append(step(answer, 0x0005_0000 | UInt32(errno)))
    let count = program.count
    let result = unsafe program.withUnsafeMutableBytes { bytes in
        // struct sock_fprog: a count, padding, the address.
        let description = [count, Int(bitPattern: bytes.baseAddress)]
        return unsafe description.withUnsafeBytes {
            let noNewPrivileges = 38
            _ = linux_call(Int(SYS_prctl), noNewPrivileges, 1, 0)
            return linux_call(Int(SYS_seccomp), 1, 0, Int(bitPattern: $0.baseAddress))
        }
    }
    if result != 0 { throw Errno(rawValue: Glibc.errno) }
}
