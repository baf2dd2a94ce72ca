internal import CLinux
internal import Glibc
internal import IOEngineCore

/// A file whose file system, a server in this process, answers what a test says: reads, writes and
/// syncs end with the errno that is set, or well.
///
/// The kernel's FUSE protocol without a library (`fuse(4)`): the file is the root of its file system.
/// Direct IO is asynchronous, as `io_uring` and Linux AIO have it.
public final class AnsweringFile: Sendable {
    public let path: String
    private let thread: TestThread
    private let answers: Answers

    /// What the server is asked to do.
    public enum Operation: Hashable, Sendable {
        case read, write, sync, allocate
    }

    private final class Answers: Sendable {
        let state = LockedValue(State())
    }

    private struct State {
        var isMounted = false
        var errnos: [Operation: Int32] = [:]
        var counts: [Operation: Int] = [:]
        /// How many more answers are as set; nil: all.
        var left: [Operation: Int] = [:]
    }

    /// Bytes of the file.
    public static var size: Int { 1 << 20 }

    /// Nil, after printing why, where such a file cannot be made.
    public init?(label: String) throws {
        let path = TemporaryFolder.newPath(label)
        let answers = Answers()
        let isReady = Latch()
        thread = try TestThread {
            guard let server = Server(path, answers) else { return isReady.countDown() }
            answers.state.withLock { $0.isMounted = true }
            isReady.countDown()
            server.serve()
        }
        self.path = path
        self.answers = answers
        isReady.wait()
        if !answers.state.withLock({ $0.isMounted }) {
            print("skipped: FUSE cannot be used here")
            return nil
        }
    }

    deinit {
        // MNT_FORCE ends what is in flight, and the server with it; MNT_DETACH lets the place go.
        unsafe umount2(path, 1 | 2)
        thread.join()
    }

    /// Ends the next operations with this errno; 0: well.
    ///
    /// - Parameter times: How many; nil: all from now on.
    public func answer(_ operation: Operation, with errno: Int32, times: Int? = nil) {
        answers.state.withLock { state in
            state.errnos[operation] = errno
            state.left[operation] = times
        }
    }

    /// How often the server was asked.
    public func count(of operation: Operation) -> Int {
        answers.state.withLock { $0.counts[operation] ?? 0 }
    }

    // MARK: The server

    /// Its thread has descriptors of its own: were the connection to the kernel one of the process's, a
    /// process that is killed would wait for ever for a server that has ended, and so would a child that
    /// inherited it.
    private struct Server {
        private let device: Int32
        private let answers: Answers

        init?(_ path: String, _ answers: Answers) {
            // CLOSE_RANGE_UNSHARE: no other thread's descriptors are closed.
            guard linux_call(Int(SYS_close_range), 3, Int(UInt32.max), 2) == 0 else { return nil }
            close(unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600))
            device = unsafe open("/dev/fuse", O_RDWR | O_CLOEXEC)
            self.answers = answers
            let options = "fd=\(device),rootmode=100644,user_id=0,group_id=0"
            guard device >= 0,
                unsafe mount("ioengine-tests", path, "fuse", 0, options) == 0
            else { return nil }
        }

        /// Until the file system is gone.
        func serve() {
            let size = 1 << 21
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
            defer { unsafe memory.deallocate() }
            while true {
                let count = unsafe read(device, memory.baseAddress, size)
                if count < 0, errno != EINTR, errno != EAGAIN, errno != ENOENT { return }
                if count >= 40 { unsafe answer(UnsafeRawBufferPointer(memory)) }
            }
        }

        private func answer(_ request: UnsafeRawBufferPointer) {
            let operation = unsafe request.load(fromByteOffset: 4, as: UInt32.self)
            let unique = unsafe request.load(fromByteOffset: 8, as: UInt64.self)
            switch operation {
            case 2, 36, 42: break
            case 3, 4: reply(unique, attributes)
            case 14: reply(unique, [UInt8](repeating: 0, count: 16))
            case 15:
                let size = unsafe Int(request.load(fromByteOffset: 56, as: UInt32.self))
                end(unique, .read, [UInt8](repeating: 7, count: size))
            case 16:
                let size = unsafe request.load(fromByteOffset: 56, as: UInt32.self)
                end(unique, .write, bytes(size) + bytes(UInt32(0)))
            case 17: reply(unique, [UInt8](repeating: 0, count: 80))
            case 20: end(unique, .sync, [])
            case 43: end(unique, .allocate, [])
            case 18, 25, 38: reply(unique, [])
            case 26: reply(unique, introduction)
            default: fail(unique, ENOSYS)
            }
        }

        private func end(_ unique: UInt64, _ operation: Operation, _ body: [UInt8]) {
            let errno = answers.state.withLock { state -> Int32 in
                state.counts[operation, default: 0] += 1
                if let left = state.left[operation] {
                    if left == 0 { return 0 }
                    state.left[operation] = left - 1
                }
                return state.errnos[operation] ?? 0
            }
            if errno == 0 { reply(unique, body) } else { fail(unique, errno) }
        }

        private func reply(_ unique: UInt64, _ body: [UInt8]) { send(unique, 0, body) }

        private func fail(_ unique: UInt64, _ errno: Int32) { send(unique, -errno, []) }

        private func send(_ unique: UInt64, _ error: Int32, _ body: [UInt8]) {
            let answer = bytes(UInt32(16 + body.count)) + bytes(error) + bytes(unique) + body
            _ = unsafe answer.withUnsafeBytes { unsafe write(device, $0.baseAddress, $0.count) }
        }

        private func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
            unsafe withUnsafeBytes(of: number) { unsafe Array($0) }
        }

        /// Protocol 7.31, with asynchronous reads and direct IO.
        private var introduction: [UInt8] {
            let flags: UInt32 = 1 | 1 << 5 | 1 << 15
            return bytes(UInt32(7)) + bytes(UInt32(31)) + bytes(UInt32(1 << 17)) + bytes(flags)
                + bytes(UInt16(64)) + bytes(UInt16(48)) + bytes(UInt32(1 << 17))
                + [UInt8](repeating: 0, count: 40)
        }

        /// A regular file; valid for an hour.
        private var attributes: [UInt8] {
            bytes(UInt64(3600)) + bytes(UInt64(0)) + bytes(UInt64(1))
                + bytes(UInt64(AnsweringFile.size)) + bytes(UInt64(AnsweringFile.size / 512))
                + [UInt8](repeating: 0, count: 36) + bytes(UInt32(0o100644))
                + bytes(UInt32(1)) + [UInt8](repeating: 0, count: 12) + bytes(UInt32(4096))
                + bytes(UInt32(0))
        }
    }
}
