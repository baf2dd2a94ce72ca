import Glibc
import IOEngineCore
import SystemPackage

/// RLIMIT_FSIZE of 64 KiB; with the argument "ignored", SIGXFSZ is ignored. First argument: a path.
private func limited(_ arguments: [String]) throws -> FilePath {
    if arguments.contains("ignored") { signal(SIGXFSZ, SIG_IGN) }
    setLimit(1, 65536)
    return FilePath(arguments[0])
}

/// Writes and allocates across and beyond the limit, buffered and direct.
enum FileSizeLimit: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        let path = try limited(arguments)
        for direct in [false, true] {
            let file = try IODescriptor.open(
                path, .readWrite, options: [.create, .truncate], direct: direct)
            var loop = try HelperLoop(depth: 4, driver: try make(4))
            let below = try perform(&loop, .write(file, from: IOBuffer(zeroed: 4096), at: 0))
            check(below.bytes == 4096 && below.error == nil, "below the limit: \(below)")
            for offset in [65536, 1 << 20, Int64.max - 4096] {
                let offset = direct ? offset / 4096 * 4096 : offset
                let beyond = try perform(
                    &loop, .write(file, from: IOBuffer(zeroed: 4096), at: offset))
                check(
                    beyond.error?.errno == .fileTooLarge && beyond.error?.reason == .fileSizeLimit,
                    "at \(offset), direct \(direct): \(beyond)")
                check(
                    beyond.error?.advice.contains("RLIMIT_FSIZE") == true, "the advice: \(beyond)")
            }
            let across = try perform(&loop, .write(file, from: IOBuffer(zeroed: 16384), at: 57344))
            check(
                across.error?.errno == .fileTooLarge && across.error?.reason == .fileSizeLimit,
                "across, direct \(direct): \(across)")
            check(across.bytes == 8192 || across.bytes == 0, "what fitted: \(across.bytes)")
            check(across.count == 16384, "the buffer comes back")
            let allocate = try perform(&loop, .allocate(file, at: 1 << 20, length: 4096))
            check(allocate.error?.errno == .fileTooLarge, "allocate beyond: \(allocate)")
            let growing = try perform(&loop, .allocate(file, at: 0, length: 1 << 20))
            check(growing.error?.errno == .fileTooLarge, "allocate across: \(growing)")
            let inside = try perform(&loop, .allocate(file, .keepSize, at: 0, length: 1 << 20))
            // tmpfs looks at the limit although the size would stay.
            check(
                inside.error == nil || inside.error?.errno == .fileTooLarge,
                "an allocate that keeps the size: \(inside)")
            let read = try perform(&loop, .read(file, into: IOBuffer(capacity: 4096), at: 0))
            check(read.bytes == 4096, "reads have no limit: \(read)")
        }
    }
}

/// A file that is as large as the limit, and appended to: the offset says nothing about where.
enum AppendingAtTheLimit: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        let path = try limited(arguments)
        for direct in [false, true] {
            let file = try IODescriptor.open(
                path, .readWrite, options: [.create, .truncate], direct: direct)
            let appending = try IODescriptor.open(
                path, .writeOnly, options: .append, direct: direct)
            var loop = try HelperLoop(depth: 4, driver: try make(4))
            let first = try perform(&loop, .write(file, from: IOBuffer(zeroed: 65536), at: 0))
            check(first.bytes == 65536, "up to the limit: \(first)")
            let end = try perform(&loop, .write(appending, from: IOBuffer(zeroed: 4096), at: 0))
            check(
                end.error?.errno == .fileTooLarge,
                "appended by the descriptor, direct \(direct): \(end)")
            // Several in flight, of which the first reaches the limit.
            check(ftruncate(file.rawValue, 65536 - 4096) == 0, "ftruncate")
            for _ in 0..<4 {
                _ = loop.submit(.write(appending, from: IOBuffer(zeroed: 4096), at: 0))
            }
            while loop.inFlight > 0 {
                _ = loop.wait(minimum: 1)
                while let event = loop.next() {
                    check(event.errno == nil || event.errno == .fileTooLarge, "one of several")
                }
            }
            let size = try file.fileDescriptor.seek(offset: 0, from: .end)
            check(size == 65536, "several made the file \(size) bytes long")
            var event = HelperEvent.write(file, from: IOBuffer(zeroed: 4096), at: 0)
            event.flags = .append
            let flagged = try perform(&loop, event)
            check(
                flagged.error?.errno == .fileTooLarge,
                "appended by the flag, direct \(direct): \(flagged)")
        }
    }
}

/// The limit comes, and is lifted again, after the loop was made; on the thread of the program itself.
enum ChangingFileSizeLimit: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        for direct in [false, true] {
            let file = try IODescriptor.open(
                FilePath(arguments[0]), .readWrite, options: [.create, .truncate], direct: direct)
            var loop = try HelperLoop(depth: 4, driver: try make(4))
            let before = try perform(&loop, .write(file, from: IOBuffer(zeroed: 4096), at: 0))
            check(before.bytes == 4096 && before.error == nil, "without a limit: \(before)")
            setSoftLimit(1, 65536)
            for offset in [65536, 1 << 20] as [Int64] {
                for length in [4096, 1 << 20] {
                    let end = try perform(
                        &loop, .write(file, from: IOBuffer(zeroed: length), at: offset))
                    check(
                        end.error?.errno == .fileTooLarge && end.error?.reason == .fileSizeLimit,
                        "\(length) at \(offset), direct \(direct): \(end)")
                }
            }
            let across = try perform(&loop, .write(file, from: IOBuffer(zeroed: 16384), at: 57344))
            check(across.error?.errno == .fileTooLarge, "across, direct \(direct): \(across)")
            var append = HelperEvent.write(file, from: IOBuffer(zeroed: 65536), at: 0)
            append.flags = .append
            _ = try perform(&loop, append)
            append = HelperEvent.write(file, from: IOBuffer(zeroed: 4096), at: 0)
            append.flags = .append
            let appended = try perform(&loop, append)
            check(appended.error?.errno == .fileTooLarge, "appended: \(appended)")
            let allocated = try perform(&loop, .allocate(file, at: 0, length: 1 << 20))
            check(allocated.error?.errno == .fileTooLarge, "allocated: \(allocated)")
            setSoftLimit(1, .max)
            let after = try perform(&loop, .write(file, from: IOBuffer(zeroed: 4096), at: 65536))
            check(after.bytes == 4096 && after.error == nil, "the limit is gone: \(after)")
        }
        check(blocksFileSizeSignal() == false, "the thread's signals are not as they were")
    }

    private static func blocksFileSizeSignal() -> Bool {
        var signals = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, nil, &signals)
        return unsafe sigismember(&signals, SIGXFSZ) == 1
    }
}
