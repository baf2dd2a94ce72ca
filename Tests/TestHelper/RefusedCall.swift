import BasicContainers
import CLinux
import Glibc
import IOEngineAIO
import IOEngineCore
import IOEngineThreads
import IOEngineURing
import SystemPackage
import TestSupport

/// Does everything that a driver can do, and everything of a context, while a seccomp filter
/// refuses one system call. Each step must do its work by another way or fail with an error that
/// names the call.
///
/// Prints a line for each step that failed, and ends with "works" or with the steps that were
/// refused. Arguments: "uring", "aio" or "threads"; the call's name; the errno's number; the path
/// of a file that is there. Without any it lists the calls.
enum RefusedCall {
    /// What the library and the C library below it call, beside `read`, `write`, `mmap`, `munmap`
    /// and `futex`. Without `brk`, `rseq` and `exit`: a C library that had them, and has them no
    /// more, ends the process or never ends a thread (glibc 2.36).
    static let calls: [(name: String, number: Int32)] = [
        ("io_uring_setup", 425), ("io_uring_enter", 426), ("io_uring_register", 427),
        ("io_setup", SYS_io_setup), ("io_submit", SYS_io_submit),
        ("io_getevents", SYS_io_getevents), ("io_destroy", SYS_io_destroy),
        ("io_cancel", SYS_io_cancel), ("pread64", SYS_pread64), ("pwrite64", SYS_pwrite64),
        ("preadv", SYS_preadv), ("pwritev", SYS_pwritev), ("preadv2", SYS_preadv2),
        ("pwritev2", SYS_pwritev2), ("fsync", SYS_fsync), ("fdatasync", SYS_fdatasync),
        ("fallocate", SYS_fallocate), ("openat", SYS_openat), ("close", SYS_close),
        ("statx", SYS_statx), ("fstat", SYS_fstat), ("newfstatat", SYS_newfstatat),
        ("fstatfs", SYS_fstatfs), ("statfs", SYS_statfs), ("lseek", SYS_lseek),
        ("fcntl", SYS_fcntl), ("ioctl", SYS_ioctl), ("eventfd2", SYS_eventfd2),
        ("ioprio_get", SYS_ioprio_get), ("ioprio_set", SYS_ioprio_set),
        ("prlimit64", SYS_prlimit64), ("getrlimit", SYS_getrlimit),
        ("sched_setaffinity", SYS_sched_setaffinity),
        ("sched_getaffinity", SYS_sched_getaffinity), ("sched_yield", SYS_sched_yield),
        ("clone", SYS_clone), ("clone3", SYS_clone3), ("set_robust_list", SYS_set_robust_list),
        ("rt_sigprocmask", SYS_rt_sigprocmask), ("prctl", SYS_prctl),
        ("madvise", SYS_madvise), ("mprotect", SYS_mprotect), ("mremap", SYS_mremap),
        ("rt_sigaction", SYS_rt_sigaction), ("clock_gettime", SYS_clock_gettime),
        ("clock_nanosleep", SYS_clock_nanosleep), ("nanosleep", SYS_nanosleep),
        ("getrandom", SYS_getrandom), ("getpid", SYS_getpid), ("gettid", SYS_gettid),
        ("readlink", SYS_readlink), ("readlinkat", SYS_readlinkat), ("pipe2", SYS_pipe2),
    ]

    static func run(_ arguments: [String]) throws {
        if arguments.isEmpty { return print(calls.map(\.name).joined(separator: "\n")) }
        let rest = Array(arguments.dropFirst())
        switch arguments[0] {
        case "uring":
            try run(rest) { (depth) throws(IOError) in try URingDriver(depth: depth) }
        case "aio":
            try run(rest) { (depth) throws(IOError) in try AIODriver(depth: depth) }
        default:
            try run(rest) { (depth) throws(IOError) in try ThreadPoolDriver(depth: depth) }
        }
    }

    private static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
    ) throws {
        guard let call = calls.first(where: { $0.name == arguments[0] }) else {
            throw Errno.invalidArgument
        }
        let number = Int32(arguments[1]) ?? EPERM
        // A cell that hangs ends with SIGALRM.
        alarm(60)
        let steps = Steps(call: call.name, path: FilePath(arguments[2]))
        // What the checks themselves need, before anything is refused.
        try steps.open()
        try refuse([UInt32(call.number)], number)
        steps.useLoop(make)
        steps.useContext(make)
        steps.conclude()
    }
}

/// The steps of one cell and what became of them.
private final class Steps {
    let call: String
    let path: FilePath
    private var reading: FileDescriptor?
    private var spare: [FileDescriptor] = []
    private var refused: [String] = []

    init(call: String, path: FilePath) {
        self.call = call
        self.path = path
    }

    func open() throws {
        reading = try FileDescriptor.open(path, .readOnly)
        for direct in [false, true] {
            let options = FileDescriptor.OpenOptions(rawValue: direct ? CLinux.O_DIRECT : 0)
            spare.append(try FileDescriptor.open(path, .readWrite, options: options))
        }
    }

    /// Whether a text names the call, as a word of its own.
    private func isNamed(in text: String) -> Bool {
        text.split { !$0.isLetter && !$0.isNumber && $0 != "_" }.contains { $0 == call }
    }

    /// Does a step. What it throws must name the call.
    func step(_ name: String, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            refused.append(name)
            print("\(name): \(error)")
            check(isNamed(in: "\(error)"), "\(name) does not name \(call): \(error)")
        }
    }

    func conclude() {
        print(refused.isEmpty ? "works" : "says so: \(refused.joined(separator: ", "))")
    }

    // MARK: A loop

    private typealias Event = IOEvent<NoCallback>

    func useLoop<Driver: IODriver & ~Copyable>(
        _ make: (Int) throws(IOError) -> Driver
    ) {
        var made: HelperLoop<Driver>?
        step("driver") { made = try HelperLoop(depth: 8, driver: try make(8)) }
        guard var loop = made.take() else { return }
        guard let file = openOne(direct: false), let direct = openOne(direct: true) else { return }
        transfer(&loop, file, "")
        transfer(&loop, direct, "direct ")
        special(&loop, file, direct)
        stop(&loop, file)
        wake(&loop)
        for file in [file, direct] { step("close") { try file.close() } }
        checkContents()
    }

    /// Opens the file anew, or takes what was open before.
    private func openOne(direct: Bool) -> IODescriptor? {
        var file: IODescriptor?
        step("open") {
            file = try IODescriptor.open(path, .readWrite, direct: direct)
        }
        if file != nil { return file }
        let spare = self.spare[direct ? 1 : 0]
        step("adopt") { file = try IODescriptor(adopting: spare) }
        return file
    }

    private var isWritten: Bool { !refused.contains { $0.contains("write") } }

    /// Throws the event's error, and looks at its bytes.
    private func done<Driver: ~Copyable>(
        _ loop: inout HelperLoop<Driver>, _ event: consuming Event, _ bytes: Int,
        reads: [UInt8]? = nil
    ) throws {
        let end = try perform(&loop, event, comparing: reads)
        if let error = end.error { throw error }
        // Where a write was refused, the file is shorter.
        if reads != nil, !isWritten { return }
        check(end.bytes == bytes, "\(end.bytes) bytes instead of \(bytes)")
        check(end.isRight, "wrong bytes")
    }

    private func transfer<Driver: ~Copyable>(
        _ loop: inout HelperLoop<Driver>, _ file: IODescriptor, _ kind: String
    ) {
        let bytes = pattern(8192)
        let large = pattern(1 << 20)
        step(kind + "write") {
            try done(&loop, .write(file, from: IOBuffer(copying: bytes), at: 0), 8192)
        }
        step(kind + "read") {
            try done(&loop, .read(file, into: IOBuffer(capacity: 8192), at: 0), 8192, reads: bytes)
        }
        step(kind + "vectored write") {
            var parts = UniqueArray<IOBuffer>()
            parts.append(IOBuffer(copying: Array(bytes[..<4096])))
            parts.append(IOBuffer(copying: Array(bytes[4096...])))
            try done(&loop, .write(file, from: parts, at: 8192), 8192)
        }
        step(kind + "vectored read") {
            var parts = UniqueArray<IOBuffer>()
            for _ in 0..<2 { parts.append(IOBuffer(capacity: 4096)) }
            try done(&loop, .read(file, into: parts, at: 8192), 8192, reads: [])
        }
        // Past the end of the file, too large for the loop's own thread, and then cold.
        step(kind + "extending write") {
            try done(&loop, .write(file, from: IOBuffer(copying: large), at: 16384), 1 << 20)
        }
        step(kind + "large read") {
            posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_DONTNEED)
            try done(
                &loop, .read(file, into: IOBuffer(capacity: 1 << 20), at: 16384), 1 << 20,
                reads: large)
        }
        step(kind + "sync") { try done(&loop, .sync(file), 0) }
        step(kind + "data sync") { try done(&loop, .sync(file, .data), 0) }
        step(kind + "allocate") {
            try done(&loop, .allocate(file, at: 0, length: 16384 + 1 << 20), 0)
        }
        step("no-operation") { try done(&loop, .noOperation(), 0) }
    }

    /// Flags and priorities.
    private func special<Driver: ~Copyable>(
        _ loop: inout HelperLoop<Driver>, _ file: IODescriptor, _ direct: IODescriptor
    ) {
        let bytes = pattern(4096)
        for (name, flags) in [
            ("write with data sync", IOFlags.dataSync), ("write with sync", .sync),
            ("write with high priority", .highPriority),
        ] {
            step(name) {
                var event = Event.write(file, from: IOBuffer(copying: bytes), at: 0)
                event.flags = flags
                try done(&loop, event, 4096)
            }
        }
        step("append") {
            var event = Event.write(file, from: IOBuffer(copying: bytes), at: 0)
            event.flags = .append
            try done(&loop, event, 4096)
        }
        // What was not written is not in the page cache either.
        if isWritten {
            step("read without waiting") {
                var event = Event.read(file, into: IOBuffer(capacity: 4096), at: 0)
                event.flags = .noWait
                try done(&loop, event, 4096, reads: bytes)
            }
        }
        step("read with a priority") {
            var event = Event.read(file, into: IOBuffer(capacity: 4096), at: 0)
            event.priority = .bestEffort(level: 7)
            try done(&loop, event, 4096, reads: bytes)
        }
        step("registered read") {
            let pool = try IOBufferPool(count: 4, bufferCapacity: 4096)
            // Without registration everything works as well.
            _ = loop.register(pool)
            guard let buffer = pool.take() else { throw Errno.noMemory }
            try done(&loop, .read(direct, into: buffer, at: 0), 4096, reads: bytes)
        }
    }

    private func stop<Driver: ~Copyable>(
        _ loop: inout HelperLoop<Driver>, _ file: IODescriptor
    ) {
        step("cancel") {
            let submitted = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: 0))
            guard case .accepted(let ticket) = submitted else { throw Errno.noBufferSpace }
            _ = loop.cancel(ticket)
            let end = try waitForEnd(&loop)
            if let error = end.error, error.errno != .canceled { throw error }
        }
        step("deadline") {
            let limits = IOLimits(deadline: loop.now.advanced(by: .seconds(30)))
            let event = Event.read(file, into: IOBuffer(capacity: 4096), at: 0)
            guard loop.submit(event, limits).isAccepted else { throw Errno.noBufferSpace }
            let end = try waitForEnd(&loop)
            if let error = end.error { throw error }
        }
    }

    private func wake<Driver: ~Copyable>(_ loop: inout HelperLoop<Driver>) {
        let waker = loop.waker
        let soon = loop.wait(minimum: 1, deadline: loop.now.advanced(by: .milliseconds(1)))
        check(soon == .deadlinePassed, "a wait for a deadline: \(soon)")
        waker.wake()
        let woken = loop.wait(minimum: 1, deadline: loop.now.advanced(by: .seconds(30)))
        if case .failed(let errno) = woken { check(false, "a wait for a wake-up: errno \(errno)") }
        check(woken != .deadlinePassed, "a wake-up was not heard")
    }

    /// What the file has at its start, looked at without the library.
    private func checkContents() {
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe try? reading?.read(into: $0) }
        check(!isWritten || count == 4096 && bytes == pattern(4096), "the file has other bytes")
    }

    // MARK: A context

    func useContext<Driver: IODriver & ~Copyable>(
        _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
    ) {
        var file: IODescriptor?
        step("open") { file = try IODescriptor.open(path, .readWrite) }
        step("context") {
            var configuration = IOContextConfiguration()
            configuration.processors = [0]
            configuration.workers = try IOWorkers(count: 1)
            let context = try IOContext<ClosureCallback, Driver>(
                depth: 8, configuration: configuration
            ) { () throws(IOError) in try make(8) }
            defer { context.shutdown() }
            guard let file else { return }
            let failed = Slot<IOError>()
            let read = Counter()
            for i in 0..<16 {
                _ = context.submit(
                    .read(
                        file, into: IOBuffer(capacity: 4096), at: Int64(i) * 4096,
                        callback: ClosureCallback { event in
                            if case .failure(let error) = event.result { failed.put(error) }
                            read.add()
                        }))
            }
            try context.drain()
            check(read.value == 16, "\(read.value) of 16 were called back")
            if let error = try? failed.take() { throw error }
            try context.close(file)
        }
    }
}

/// As `perform`, and whether the buffer has these bytes; none: whatever they are.
private func perform<Driver: ~Copyable>(
    _ loop: inout HelperLoop<Driver>, _ event: consuming HelperEvent, comparing bytes: [UInt8]?
) throws -> (bytes: Int, error: IOError?, isRight: Bool) {
    guard loop.submit(event).isAccepted else { throw Errno.noBufferSpace }
    return try waitForEnd(&loop, comparing: bytes)
}

private func waitForEnd<Driver: ~Copyable>(
    _ loop: inout HelperLoop<Driver>, comparing bytes: [UInt8]? = nil
) throws -> (bytes: Int, error: IOError?, isRight: Bool) {
    while true {
        if let event = loop.next() {
            var error: IOError?
            if case .failure(let why) = event.result { error = why }
            let isRight = bytes.map { $0.isEmpty || isEqual(event.buffer.bytes, $0) } ?? true
            return (event.transferred, error, isRight)
        }
        if case .failed(let errno) = loop.wait(minimum: 1) { throw Errno(rawValue: errno) }
    }
}
