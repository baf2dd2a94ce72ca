import BasicContainers
import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// What is wrong with an event arrives as its result, with an error that helps; nothing is touched.
@Suite struct BadInputTests {
    /// Submits one event and says how it ended.
    private func outcome(of event: consuming PulledEvent) throws -> Outcome {
        var loop = try PulledLoop.make()
        return try loop.perform(event).outcome
    }

    private func full(_ count: Int = 4096) -> IOBuffer { IOBuffer(zeroed: count) }

    @Test("a number that is not open, or below 0, answers EBADF")
    func notOpen() throws {
        let never = try outcome(of: .read(FileDescriptor(rawValue: 999_999), into: full(), at: 0))
        #expect(never.errno == .badFileDescriptor && never.reason == .closedDescriptor)
        let negative = try outcome(of: .write(FileDescriptor(rawValue: -3), from: full(), at: 0))
        #expect(negative.errno == .badFileDescriptor && negative.reason == .negativeDescriptor)
        #expect(negative.error?.description.contains("descriptor -3") == true)
        #expect(negative.count == 4096, "the buffer comes back as it was")
        let sync = try outcome(of: .sync(FileDescriptor(rawValue: -1)))
        #expect(sync.errno == .badFileDescriptor)
        let allocate = try outcome(
            of: .allocate(FileDescriptor(rawValue: 999_999), at: 0, length: 1))
        #expect(allocate.errno == .badFileDescriptor)
    }

    @Test("a descriptor closed before or between answers EBADF")
    func closed() throws {
        let path = TemporaryFolder.newPath()
        let opened = try FileDescriptor.open(
            FilePath(path), .readWrite, options: [.create], permissions: .ownerReadWrite)
        // A number that no other test, which runs at the same time, gets once it is closed.
        let plain = FileDescriptor(rawValue: fcntl(opened.rawValue, F_DUPFD_CLOEXEC, 900))
        try opened.close()
        var loop = try PulledLoop.make()
        let before = try loop.perform(.write(plain, from: full(), at: 0)).outcome
        #expect(before.bytes == 4096)
        try plain.close()
        // The kernel itself notices: the loop goes by what it learnt of the number.
        let after = try loop.perform(.read(plain, into: full(), at: 0)).outcome
        #expect(after.errno == .badFileDescriptor && after.reason == .closedDescriptor)

        let file = try openNew(path)
        let open = try loop.perform(.write(file, from: full(), at: 0)).outcome
        #expect(open.bytes == 4096)
        let isClosed = try file.close()
        #expect(isClosed, "nothing was in flight")
        let refused = try loop.perform(.read(file, into: full(), at: 0)).outcome
        #expect(refused.errno == .badFileDescriptor && refused.reason == .closedDescriptor)
        #expect(throws: IOError.self) { try file.close() }
    }

    @Test("closing with events in flight waits for them, and each has its real result")
    func closingInFlight() throws {
        let path = TemporaryFolder.newPath()
        let file = try openNew(path)
        var loop = try PulledLoop.make(depth: 8)
        for i in 0..<8 { _ = loop.submit(.write(file, from: full(), at: Int64(i) * 4096)) }
        let isClosed = try file.close()
        #expect(!isClosed)
        var written = 0
        while loop.inFlight > 0 {
            let event = try loop.waitForOne()
            written += event.outcome.bytes ?? 0
        }
        #expect(written == 8 * 4096)
        #expect(fcntl(file.rawValue, F_GETFD) == -1 || file.isClosed)
    }

    @Test("offset, length and range are checked before anything is touched")
    func ranges() throws {
        let file = try openNew(TemporaryFolder.newPath())
        func check(
            _ event: consuming PulledEvent, _ reason: IOError.Reason, _ what: Comment
        ) throws {
            let outcome = try outcome(of: event)
            #expect(outcome.errno == .invalidArgument && outcome.reason == reason, what)
            #expect(outcome.isDone && outcome.transferred == 0, what)
            #expect(outcome.error?.advice.isEmpty == false, what)
        }
        try check(.read(file, into: full(), at: -1), .negativeOffset, "read at -1")
        try check(
            .write(file, from: full(), at: .min), .negativeOffset, "write at the least offset")
        try check(.allocate(file, at: -1, length: 1), .negativeOffset, "allocate at -1")
        try check(.read(file, into: IOBuffer(), at: 0), .zeroLength, "read into nothing")
        try check(
            .write(file, from: IOBuffer(capacity: 4096), at: 0), .zeroLength, "no valid bytes")
        try check(.read(file, into: full(), at: 0, range: 8..<8), .zeroLength, "empty range")
        try check(.allocate(file, at: 0, length: 0), .zeroLength, "allocate nothing")
        try check(.allocate(file, at: 0, length: -5), .zeroLength, "allocate less than nothing")
        try check(
            .read(file, into: UniqueArray<IOBuffer>(), at: 0), .zeroLength, "a list of no buffers")
        try check(
            .read(file, into: full(), at: 0, range: 1..<4097), .rangeBeyondBuffer, "read range")
        try check(
            .write(file, from: full(), at: 0, range: 0..<(1 << 40)), .rangeBeyondBuffer,
            "write range")
        try check(
            .write(file, from: IOBuffer(copying: [1, 2, 3], capacity: 64), at: 0, range: 0..<4),
            .rangeBeyondValidBytes, "write of bytes that nobody wrote")
        try check(
            .read(file, into: IOBuffer(copying: [1, 2, 3], capacity: 64), at: 0, range: 4..<8),
            .rangeBeyondValidBytes, "read that leaves a gap")
        try check(.read(file, into: full(), at: .max), .offsetTooLarge, "beyond 2^63")
        try check(.allocate(file, at: .max, length: 8), .offsetTooLarge, "allocate beyond 2^63")
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size == 0)
    }

    @Test("misaligned direct IO says which alignment the file needs")
    func misaligned() throws {
        let path = TemporaryFolder.newPath()
        let file = try openNew(path, direct: true)
        let needed = max(file.facts.offsetAlignment, file.facts.memoryAlignment)
        try #require(needed > 1, "the file system of /tmp has an alignment")
        var loop = try PulledLoop.make()
        let first = try loop.perform(.write(file, from: full(8192), at: 0)).outcome
        #expect(first.bytes == 8192)
        for event in 0..<4 {
            let outcome =
                switch event {
                case 0: try loop.perform(.read(file, into: full(), at: 100)).outcome
                case 1: try loop.perform(.write(file, from: full(1000), at: 0)).outcome
                case 2:
                    try loop.perform(.read(file, into: full(8192), at: 0, range: 1..<4097)).outcome
                default: try loop.perform(.write(file, from: full(), at: 1)).outcome
                }
            #expect(outcome.errno == .invalidArgument && outcome.reason == .misaligned)
            #expect(outcome.error?.alignment == needed)
            #expect(outcome.error?.description.contains("\(needed)") == true)
        }
        var buffers = UniqueArray<IOBuffer>()
        buffers.append(full(4096))
        buffers.append(full(100))
        let vectored = try loop.perform(.read(file, into: buffers, at: 0)).outcome
        #expect(vectored.reason == .misaligned)
    }

    @Test("a read of what is write-only and a write of what is read-only say so")
    func openMode() throws {
        let path = TemporaryFolder.newPath()
        _ = try openNew(path).close()
        let writeOnly = try IODescriptor.open(FilePath(path), .writeOnly)
        let readOnly = try IODescriptor.open(FilePath(path), .readOnly)
        let read = try outcome(of: .read(writeOnly, into: full(), at: 0))
        #expect(read.errno == .badFileDescriptor && read.reason == .notOpenForReading)
        let write = try outcome(of: .write(readOnly, from: full(), at: 0))
        #expect(write.errno == .badFileDescriptor && write.reason == .notOpenForWriting)
        let allocate = try outcome(of: .allocate(readOnly, at: 0, length: 4096))
        #expect(allocate.errno == .badFileDescriptor && allocate.reason == .notOpenForWriting)
        let sync = try outcome(of: .sync(readOnly))
        #expect(sync.error == nil, "a sync needs no write access")
    }

    @Test("a directory answers EISDIR")
    func directory() throws {
        let folder = try IODescriptor.open(FilePath(TemporaryFolder.path), .readOnly)
        let plain = folder.fileDescriptor
        for outcome in [
            try outcome(of: .read(folder, into: full(), at: 0)),
            try outcome(of: .read(plain, into: full(), at: 0)),
            try outcome(of: .write(folder, from: full(), at: 0)),
        ] {
            #expect(outcome.errno == .isDirectory && outcome.reason == .isDirectory)
        }
        let sync = try outcome(of: .sync(folder))
        #expect(sync.error == nil, "syncing a directory is how a new name is made durable")
    }

    @Test("a pipe and a socket answer ESPIPE, and nothing is taken out of them")
    func notSeekable() throws {
        let pipe = try Pipe()
        try pipe.write([1, 2, 3])
        let read = try outcome(of: .read(pipe.readEnd, into: full(), at: 0))
        #expect(read.errno == .illegalSeek && read.reason == .notSeekable)
        let write = try outcome(of: .write(pipe.writeEnd, from: full(), at: 0))
        #expect(write.errno == .illegalSeek)
        #expect(pipe.bytesInside == 3, "nothing was consumed, nothing added")

        var pair: (Int32, Int32) = (-1, -1)
        let made = unsafe withUnsafeMutableBytes(of: &pair) { bytes in
            unsafe socketpair(
                AF_UNIX, Int32(SOCK_STREAM.rawValue), 0,
                bytes.assumingMemoryBound(to: Int32.self).baseAddress.unsafelyUnwrapped)
        }
        #expect(made == 0)
        defer {
            close(pair.0)
            close(pair.1)
        }
        let socket = FileDescriptor(rawValue: pair.0)
        let fromSocket = try outcome(of: .read(socket, into: full(), at: 0))
        #expect(fromSocket.errno == .illegalSeek)
        let toSocket = try outcome(of: .write(socket, from: full(), at: 0))
        #expect(toSocket.errno == .illegalSeek)
        var buffers = UniqueArray<IOBuffer>()
        buffers.append(full())
        let vectored = try outcome(of: .read(socket, into: buffers, at: 0))
        #expect(vectored.errno == .illegalSeek)
    }

    @Test("flag bits that the kernel does not know answer EOPNOTSUPP")
    func unknownFlags() throws {
        let file = try openNew(TemporaryFolder.newPath())
        var event = PulledEvent.write(file, from: full(), at: 0)
        event.flags = IOFlags(rawValue: 1 << 30)
        let outcome = try outcome(of: event)
        #expect(outcome.errno == .notSupported)
        #expect(outcome.error?.advice.isEmpty == false)
    }

    @Test(
        "an allocate mode that the file system lacks answers EOPNOTSUPP",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
    func unsupportedMode() throws {
        let fileSystem = try #require(TestFileSystem.tmpfs)
        let file = try openNew(fileSystem.newPath())
        let outcome = try outcome(of: .allocate(file, .zeroRange, at: 0, length: 4096))
        #expect(outcome.errno == .notSupported)
    }

    @Test("EAGAIN that RWF_NOWAIT asked for is handed over, not retried")
    func noWait() throws {
        let file = try openNew(TemporaryFolder.newPath())
        var loop = try PulledLoop.make()
        let write = try loop.perform(.write(file, from: full(1 << 20), at: 0)).outcome
        #expect(write.bytes == 1 << 20)
        let sync = try loop.perform(.sync(file)).outcome
        #expect(sync.error == nil)
        // Out of the page cache, so that a read would have to wait for the device.
        try makeCold(file, size: 1 << 20, at: 512 << 10) {
            var event = PulledEvent.read(file, into: full(), at: 512 << 10)
            event.flags = .noWait
            let read = try loop.perform(event).outcome
            return read.errno == .resourceTemporarilyUnavailable
        }
        let retries = loop.statistics.retries
        #expect(retries == 0)
    }

    @Test("good, bad, good in one batch: two succeed, one fails")
    func batch() throws {
        let file = try openNew(TemporaryFolder.newPath())
        let readOnly = try IODescriptor.open("/dev/null", .readOnly)
        var loop = try PulledLoop.make()
        for i in 0..<3 {
            let event = PulledEvent.write(
                i == 1 ? readOnly : file, from: full(), at: Int64(i) * 4096)
            let isAccepted = loop.submit(event).isAccepted
            #expect(isAccepted)
        }
        var succeeded: [Int64] = []
        var failed: [Int64] = []
        while loop.inFlight > 0 {
            let event = try loop.waitForOne()
            let offset = event.offset
            if event.outcome.error == nil {
                succeeded.append(offset)
            } else {
                failed.append(offset)
            }
        }
        #expect(succeeded.sorted() == [0, 8192])
        #expect(failed == [4096])
    }

    @Test(
        "a depth of 0, a negative and an absurd one are refused",
        arguments: [0, -1, .min, 1 << 20, .max])
    func depth(_ depth: Int) throws {
        let driver = #expect(throws: IOError.self) { _ = try URingDriver(depth: depth).counters }
        #expect(driver?.errno == .invalidArgument)
        #expect(driver?.advice.contains("32768") == true)
        let loop = #expect(throws: IOError.self) {
            _ = try PulledLoop(depth: depth, driver: try URingDriver(depth: 4)).inFlight
        }
        #expect(loop?.errno == .invalidArgument)
        #expect(loop?.advice.contains("use 1 to 4") == true)
    }
}
