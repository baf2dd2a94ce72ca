import BasicContainers
import IOEngineCore
import IOEngineMock
import SystemPackage
import Testing

/// What stays visible of a sync or of a durable write that failed.
@Suite struct DurabilityTests {
    typealias Event = IOEvent<NoCallback>

    let device = MockDevice(maximumVectors: 4)

    private func makeLoop() throws -> IOLoop<NoCallback, MockDriver> {
        try IOLoop(depth: 4, driver: device.makeDriver(depth: 4))
    }

    private func finish(
        _ loop: inout IOLoop<NoCallback, MockDriver>, _ event: consuming Event,
        _ limits: IOLimits = .none
    ) throws -> Event {
        let isAccepted = loop.submit(event, limits).isAccepted
        #expect(isAccepted)
        for _ in 0..<100 {
            if let event = loop.next() { return event }
            _ = loop.wait()
        }
        throw Errno.timedOut
    }

    /// What two syncs in a row answer, the device being well.
    private func syncs(
        _ loop: inout IOLoop<NoCallback, MockDriver>, _ file: IODescriptor
    ) throws -> [Errno?] {
        [
            try finish(&loop, .sync(file, .data)).errno,
            try finish(&loop, .sync(file, .full)).errno,
        ]
    }

    private static let losses: [Errno] = [
        .ioError, .noSpace, .diskQuotaExceeded, .staleNFSFileHandle, .fileTooLarge,
        .readOnlyFileSystem, .invalidArgument, .timedOut, .permissionDenied, .socketNotConnected,
        .badFileDescriptor, .canceled, .notSupported, .noMemory, .noSuchAddressOrDevice,
        Errno(rawValue: 121), Errno(rawValue: 4095),
    ]

    @Test("whatever a sync failed with, later syncs answer it", arguments: losses)
    func failedSync(_ errno: Errno) throws {
        for extent in [IOSyncExtent.data, .full] {
            var loop = try makeLoop()
            let file = device.makeFile(Array(repeating: 1, count: 4096))
            device.answer([extent == .data ? .syncData : .syncFull], with: .fails(errno))
            #expect(try finish(&loop, .sync(file, extent)).errno == errno)
            #expect(try syncs(&loop, file) == [errno, errno])
            #expect(file.syncError == errno)
            file.clearSyncError()
            #expect(try syncs(&loop, file) == [nil, nil])
        }
    }

    @Test("whatever a durable write failed with, later syncs answer it", arguments: losses)
    func failedDurableWrite(_ errno: Errno) throws {
        for flags in [IOFlags.dataSync, .sync, [.dataSync, .sync]] {
            var loop = try makeLoop()
            let file = device.makeFile(Array(repeating: 1, count: 4096))
            device.answer([.write], with: .fails(errno))
            var write: Event = .write(file, from: IOBuffer(zeroed: 64), at: 0)
            write.flags = flags
            #expect(try finish(&loop, write).errno == errno)
            #expect(try syncs(&loop, file) == [errno, errno], "flags \(flags.rawValue)")
        }
    }

    @Test("a durable write that fails in its second part, vectored or not")
    func laterPart() throws {
        var loop = try makeLoop()
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        device.answer([.write], with: .moves(10), .fails(.noSpace))
        var write: Event = .write(file, from: IOBuffer(zeroed: 64), at: 0)
        write.flags = .dataSync
        let failed = try finish(&loop, write)
        #expect(failed.errno == .noSpace && failed.transferred == 10)
        #expect(try syncs(&loop, file) == [.noSpace, .noSpace])
        file.clearSyncError()
        device.answer([.writeVectored], with: .moves(10), .fails(.ioError))
        var buffers = UniqueArray<IOBuffer>()
        for _ in 0..<3 { buffers.append(IOBuffer(zeroed: 64)) }
        var vectored: Event = .write(file, from: buffers, at: 0)
        vectored.flags = .sync
        #expect(try finish(&loop, vectored).errno == .ioError)
        #expect(try syncs(&loop, file) == [.ioError, .ioError])
    }

    @Test("a durable write that fails after it was given up")
    func givenUp() throws {
        var loop = try makeLoop()
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        let conductor = Holding()
        loop = try IOLoop(depth: 4, driver: device.makeDriver(depth: 4, conductor: conductor))
        var write: Event = .write(file, from: IOBuffer(zeroed: 64), at: 0)
        write.flags = .dataSync
        guard case .accepted(let ticket) = loop.submit(write, IOLimits(abandonAfter: .zero)) else {
            Issue.record("the loop takes events")
            return
        }
        _ = loop.wait(minimum: 0)
        loop.cancel(ticket)
        _ = loop.wait(minimum: 0)
        #expect(loop.next()?.isSettled == false)
        conductor.answer = .fails(.ioError)
        _ = loop.wait(minimum: 0)
        if loop.next() != nil { Issue.record("an event comes back twice") }
        conductor.answer = .completes
        #expect(try syncs(&loop, file) == [.ioError, .ioError])
    }

    @Test("what moves nothing, is put off or stopped loses nothing")
    func noLoss() throws {
        var loop = try makeLoop()
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        // Put off until the loop's patience is at its end.
        for errno in [Errno.interrupted, .resourceTemporarilyUnavailable] {
            for _ in 0...32 { device.answer([.syncFull], with: .fails(errno)) }
            let failed = try finish(&loop, .sync(file))
            #expect(failed.errno == errno)
            #expect(try syncs(&loop, file) == [nil, nil], "\(errno)")
        }
        // A write that is not durable: the kernel's mark stays for the sync.
        device.answer([.write], with: .fails(.ioError))
        #expect(
            try finish(&loop, .write(file, from: IOBuffer(zeroed: 64), at: 0)).errno == .ioError)
        #expect(try syncs(&loop, file) == [nil, nil])
        // An EAGAIN that was asked for, and flags that are not known.
        let refusals: [(Errno, IOFlags)] = [
            (.resourceTemporarilyUnavailable, [.dataSync, .noWait]),
            (.notSupported, [.dataSync, .dontCache]), (.invalidArgument, [.dataSync, .atomic]),
        ]
        for (errno, flags) in refusals {
            device.answer([.write], with: .fails(errno))
            var write: Event = .write(file, from: IOBuffer(zeroed: 64), at: 0)
            write.flags = flags
            #expect(try finish(&loop, write).errno == errno)
            #expect(try syncs(&loop, file) == [nil, nil], "\(errno)")
        }
        // Refused by the engine.
        var write: Event = .write(file, from: IOBuffer(zeroed: 64), at: -1)
        write.flags = .dataSync
        #expect(try finish(&loop, write).errno == .invalidArgument)
        #expect(try syncs(&loop, file) == [nil, nil])
    }

    @Test("a durable write that is cancelled loses nothing, and one that fails all the same does")
    func cancelled() throws {
        for (answer, errno) in [
            (MockAnswer.fails(.canceled), nil), (.fails(.ioError), Errno.ioError),
        ] as [(MockAnswer, Errno?)] {
            let conductor = Holding()
            var loop: IOLoop<NoCallback, MockDriver> = try IOLoop(
                depth: 4, driver: device.makeDriver(depth: 4, conductor: conductor))
            let file = device.makeFile(Array(repeating: 1, count: 4096))
            var write: Event = .write(file, from: IOBuffer(zeroed: 64), at: 0)
            write.flags = .dataSync
            guard case .accepted(let ticket) = loop.submit(write) else { continue }
            _ = loop.wait(minimum: 0)
            loop.cancel(ticket)
            conductor.answer = answer
            _ = loop.wait(minimum: 0)
            #expect(loop.next()?.errno == errno ?? .canceled)
            conductor.answer = .completes
            #expect(try syncs(&loop, file) == [errno, errno])
        }
    }

    @Test("what a dead driver never answers counts as lost", arguments: [true, false])
    func deadDriver(isGivenUp: Bool) throws {
        let file = device.makeFile(Array(repeating: 1, count: 4096))
        let other = device.makeFile(Array(repeating: 1, count: 4096))
        let conductor = Holding()
        var loop: IOLoop<NoCallback, MockDriver>? = try IOLoop(
            depth: 4, driver: device.makeDriver(depth: 4, conductor: conductor))
        _ = loop?.submit(.sync(file))
        _ = loop?.submit(.write(other, from: IOBuffer(zeroed: 64), at: 0))
        _ = loop?.wait(minimum: 0)
        if isGivenUp { loop?.abandonAll() }
        conductor.isDead = true
        loop = nil
        #expect(file.syncError == .ioError && other.syncError == nil)
    }

    @Test("a plain descriptor's failed sync is not inherited by another file in the same inode")
    func reusedInode() throws {
        let conductor = OneInode()
        var loop: IOLoop<NoCallback, MockDriver> = try IOLoop(
            depth: 4, driver: device.makeDriver(depth: 4, conductor: conductor))
        let number = FileDescriptor(rawValue: 900_000)
        device.setOtherDescriptors(device.makeFile(Array(repeating: 1, count: 4096)))
        device.answer([.syncFull], with: .fails(.ioError))
        #expect(try finish(&loop, .sync(number)).errno == .ioError)
        #expect(try finish(&loop, .sync(number)).errno == .ioError)
        // The number was closed, and its file removed; a new file has number and inode.
        for newer in [
            IODescriptorFacts(device: 1, inode: 7, birth: 5, generation: 7),
            IODescriptorFacts(device: 1, inode: 7, birth: 5, generation: 8),
        ] {
            conductor.facts = newer
            #expect(try finish(&loop, .sync(number)).errno == nil)
            device.answer([.syncFull], with: .fails(.ioError))
            #expect(try finish(&loop, .sync(number)).errno == .ioError)
            #expect(try finish(&loop, .sync(number)).errno == .ioError)
        }
    }

    @Test("a descriptor that is open with O_DSYNC makes every write durable")
    func synchronous() throws {
        let conductor = OneInode()
        var loop: IOLoop<NoCallback, MockDriver> = try IOLoop(
            depth: 4, driver: device.makeDriver(depth: 4, conductor: conductor))
        let number = FileDescriptor(rawValue: 900_001)
        device.setOtherDescriptors(device.makeFile(Array(repeating: 1, count: 4096)))
        for (isSynchronous, expected) in [(true, Errno.ioError), (false, nil)] {
            conductor.facts = IODescriptorFacts(
                device: 1, inode: 7, isSynchronous: isSynchronous)
            _ = loop.forget(number)
            device.answer([.write], with: .fails(.ioError))
            let write = try finish(&loop, .write(number, from: IOBuffer(zeroed: 64), at: 0))
            guard case .failure(let error) = write.result else { continue }
            #expect((error.reason == .dataMayBeLost) == isSynchronous)
            #expect(error.description.contains("clearSyncError") == isSynchronous)
            #expect(try finish(&loop, .sync(number)).errno == expected)
        }
    }
}

/// Keeps what is in flight until it is told how that ends; cancels nothing.
private final class Holding: MockConductor {
    var answer: MockAnswer?
    var isDead = false

    func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        if isDead { return .failed(errno: Errno.ioError.rawValue) }
        queue.take()
        guard let answer else { return .ready }
        while !queue.inFlight.isEmpty { queue.finish(at: 0, answer) }
        return .ready
    }

    func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation { .requested }
}

/// One descriptor, whose file may become another one.
private final class OneInode: MockConductor {
    var facts = IODescriptorFacts(device: 1, inode: 7, birth: 4, generation: 7)

    func inspect(
        _ descriptor: Int32, _ device: MockDevice
    ) throws(Errno) -> IODescriptorFacts {
        facts
    }
}
