import BasicContainers
import IOEngineCore
import IOEngineMock
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// The layers over other drivers, the kernel's among them. That they keep the contract is tested with
/// the contract; here is what they do beyond.
@Suite struct LayerTests {
    /// A quick disk with one file.
    func makeDisk() throws -> (SimulatedDisk, IODescriptor) {
        let disk = SimulatedDisk.quick()
        disk.setContents(of: "f", to: (0..<8192).map { UInt8($0 / 512) })
        return (disk, try disk.open("f"))
    }

    // MARK: Faults

    @Test func faultsHappenOverTheDriverAndOnlyOnce() throws {
        let (disk, file) = try makeDisk()
        let faults = FaultInjector(
            seed: 1,
            [
                .fails(.ioError, IOFault.writes, .nth(1)),
                IOFault(IOFault.writes, .nth(2), effect: .failsThoughDone(.ioError)),
                .pretends(IOFault.writes, .nth(3)),
                IOFault(IOFault.writes, .nth(4), effect: .misdirects(by: 512)),
                .fails(.interrupted, IOFault.reads, .first(2)),
                .moves(5, IOFault.reads, .nth(3)),
            ])
        var loop = try IOLoop<NoCallback, FaultyDriver<SimulatedDiskDriver>>(
            depth: 4, driver: FaultyDriver(disk.makeDriver(depth: 4), faults: faults))
        func found(_ place: Int) -> UInt8? { disk.contents(of: "f")?[place] }
        #expect(errno { try loop.write(file, [100], at: 0) } == .ioError && found(0) == 0)
        #expect(errno { try loop.write(file, [101], at: 0) } == .ioError && found(0) == 101)
        #expect(try loop.write(file, [102], at: 0) == 1 && found(0) == 101)
        #expect(try loop.write(file, [103], at: 0) == 1 && found(0) == 101 && found(512) == 103)
        #expect(try loop.write(file, [104], at: 0) == 1 && found(0) == 104)
        // Two interruptions, then 5 bytes, then the rest.
        #expect(try loop.read(file, 20, at: 1024) == filled(2, 20))
        #expect(loop.statistics.retries == 2 && loop.statistics.continuations == 1)
        faults.add(IOFault(IOFault.reads, effect: .flips(bits: 1)))
        let flipped = try loop.read(file, 64, at: 1024)
        #expect(flipped.filter { $0 != 2 }.count == 1)
        faults.removeAll()
        #expect(try loop.read(file, 64, at: 1024) == filled(2, 64))
    }

    @Test func shortVectoredTransfersAreCutInTheMiddleOfAVector() throws {
        let (disk, file) = try makeDisk()
        let faults = FaultInjector(seed: 1, [.moves(700, IOFault.transfers, .first(2))])
        var loop = try IOLoop<NoCallback, FaultyDriver<SimulatedDiskDriver>>(
            depth: 4, driver: FaultyDriver(disk.makeDriver(depth: 4), faults: faults))
        var buffers = UniqueArray<IOBuffer>()
        for (byte, count) in [(7, 500), (8, 500), (9, 500)] {
            buffers.append(IOBuffer(copying: filled(UInt8(byte), count)))
        }
        let event = try loop.finish(.write(file, from: buffers, at: 100))
        #expect(event.transferred == 1500 && loop.statistics.continuations == 2)
        let wanted = filled(7, 500) + filled(8, 500) + filled(9, 500)
        #expect(disk.contents(of: "f").map { Array($0[100..<1600]) } == wanted)
    }

    @Test func shortDirectTransfersEndAtAWholeBlock() throws {
        let disk = SimulatedDisk.quick()
        disk.setContents(of: "f", to: filled(3, 8192))
        let file = try disk.open("f", direct: true)
        let faults = FaultInjector(seed: 1, [.moves(600, IOFault.reads, .nth(1))])
        var loop = try IOLoop<NoCallback, FaultyDriver<SimulatedDiskDriver>>(
            depth: 4, driver: FaultyDriver(disk.makeDriver(depth: 4), faults: faults))
        #expect(try loop.read(file, 4096, at: 0) == filled(3, 4096))
        #expect(
            disk.journal.filter { $0.kind == .completed }.map(\.result) == [1024, 3072])
    }

    @Test func whatIsStuckOverALayerCanBeLetGoOrCancelled() throws {
        let (disk, file) = try makeDisk()
        let faults = FaultInjector(
            seed: 1,
            [
                .stuck(IOFault.reads, .nth(1)),
                .stuck(IOFault.reads, .nth(2), canBeCancelled: false),
                IOFault(IOFault.reads, .nth(3), effect: .isLate(nanoseconds: 5_000)),
            ])
        var driver = FaultyDriver(disk.makeDriver(depth: 4), faults: faults)
        let waker = driver.waker
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 16)
        defer { unsafe memory.deallocate() }
        let tokens = (0..<3 as Range<UInt32>).map { IOToken(slot: $0, generation: 1) }
        for token in tokens {
            let request = unsafe IORequest(
                token: token, action: .read, descriptor: file.rawValue,
                address: memory + 16 * Int(token.slot), length: 16)
            #expect(driver.stage(request) == .queued)
        }
        #expect(
            driver.submit(minimum: 3, deadline: IOInstant(nanoseconds: 4_999)) == .deadlinePassed)
        #expect(driver.reaped().isEmpty)
        #expect(
            driver.submit(minimum: 3, deadline: IOInstant(nanoseconds: 9_000)) == .deadlinePassed)
        #expect(driver.reaped() == [tokens[2]: 16])
        #expect(driver.cancel(tokens[0]) == .cancelled && driver.cancel(tokens[1]) == .tooLate)
        #expect(driver.submit(minimum: 1, deadline: nil) == .ready)
        #expect(driver.reaped() == [tokens[0]: -Int(Errno.canceled.rawValue)])
        faults.releaseStuck()
        var results: [IOToken: Int] = [:]
        for _ in 0..<3 where results.isEmpty {
            _ = driver.submit(minimum: 1, deadline: IOInstant(nanoseconds: 20_000))
            results = driver.reaped()
        }
        #expect(results == [tokens[1]: 16])
        _ = waker
    }

    @Test func faultsWorkOverTheKernel() throws {
        guard (try? URingDriver(depth: 1)) != nil else {
            return print("skipped: faults over io_uring, which this machine does not grant")
        }
        let path = FilePath(TemporaryFolder.newPath("faulty"))
        let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
        let faults = FaultInjector(
            seed: 3,
            [
                .fails(.interrupted, IOFault.transfers, .oneIn(5)),
                .moves(100, IOFault.transfers, .oneIn(3)),
            ])
        var loop = try IOLoop<NoCallback, FaultyDriver<URingDriver>>(
            depth: 8, driver: FaultyDriver(try URingDriver(depth: 8), faults: faults))
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try loop.write(file, bytes, at: 0) == bytes.count)
        #expect(try loop.read(file, bytes.count, at: 0) == bytes)
        #expect(loop.statistics.continuations > 0 && loop.statistics.retries > 0)
        faults.add(.fails(.noSpace, IOFault.syncs))
        #expect(errno { try loop.sync(file) } == .noSpace)
    }

    // MARK: Time and order

    @Test func delaysAreAddedOnTheClockOfTheBase() throws {
        let (disk, file) = try makeDisk()
        var loop = try IOLoop<NoCallback, DelayingDriver<SimulatedDiskDriver>>(
            depth: 8,
            driver: DelayingDriver(
                disk.makeDriver(depth: 8), by: .fixed(.milliseconds(2)), seed: 1))
        for _ in 0..<8 { _ = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0)) }
        #expect(loop.wait(minimum: 8, deadline: .init(nanoseconds: 1_999_999)) == .deadlinePassed)
        let early = loop.next() == nil
        #expect(early && loop.now.nanoseconds == 1_999_999)
        #expect(loop.wait(minimum: 8) == .ready)
        #expect(loop.now.nanoseconds == 2_000_000)
        var count = 0
        while loop.next() != nil { count += 1 }
        #expect(count == 8)
        // Nothing is in flight: the deadline is the caller's.
        #expect(loop.wait(deadline: .init(nanoseconds: 5_000_000)) == .deadlinePassed)
        #expect(loop.now.nanoseconds == 5_000_000)
    }

    @Test func aLayerOfDelaysIsWokenFromOutside() throws {
        let device = MockDevice()
        let file = device.makeFile(filled(1, 100))
        var loop = try IOLoop<NoCallback, DelayingDriver<MockDriver>>(
            depth: 4,
            driver: DelayingDriver(
                device.makeDriver(depth: 4), by: .fixed(.milliseconds(2)), seed: 1))
        let waker = loop.waker
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0))
        waker.wake()
        #expect(loop.wait() == .woken)
        let isEmpty = loop.next() == nil
        #expect(isEmpty && loop.now.nanoseconds == 0)
        #expect(loop.wait() == .ready && loop.now.nanoseconds == 2_000_000)
    }

    @Test func requestsAndCompletionsAreReordered() throws {
        func orders(_ seed: UInt64) throws -> (below: [UInt32], above: [UInt32]) {
            let device = MockDevice()
            var driver = ReorderingDriver(device.makeDriver(depth: 16), seed: seed)
            for slot in 0..<16 as Range<UInt32> {
                _ = driver.stage(
                    unsafe IORequest(
                        token: IOToken(slot: slot, generation: 1), action: .noOperation))
            }
            var above: [UInt32] = []
            var rounds = 0
            while above.count < 16, rounds < 100 {
                _ = driver.submit(minimum: 1, deadline: nil)
                above += driver.reapedInOrder().map(\.0.slot)
                rounds += 1
            }
            return (device.journal.map { $0.request.token.slot }, above)
        }
        let first = try orders(1)
        let sorted = Array(0..<16 as Range<UInt32>)
        #expect(first.below.sorted() == sorted && first.above.sorted() == sorted)
        #expect(first.below != sorted && first.above != sorted && first.above != first.below)
        #expect(try orders(1) == first)
        #expect(try orders(2) != first)
    }

    // MARK: Recording and replaying

    /// The same code on whatever driver: what it saw.
    func run<Driver: IODriver & ~Copyable>(
        _ driver: consuming Driver, _ file: IODescriptor
    ) throws -> [String] {
        var seen: [String] = []
        var loop = try IOLoop<NoCallback, Driver>(depth: 4, driver: driver)
        for round in 0..<6 {
            for place in 0..<4 {
                _ = loop.submit(
                    round % 2 == 0
                        ? .write(
                            file, from: IOBuffer(copying: filled(UInt8(round * 4 + place), 600)),
                            at: Int64(place * 1000))
                        : .read(file, into: IOBuffer(capacity: 900), at: Int64(place * 1000)))
            }
            while loop.inFlight > 0 {
                _ = loop.wait()
                while let event = loop.next() {
                    let bytes = (0..<event.buffer.count).reduce(0) {
                        $0 &* 31 &+ Int(event.buffer[$1])
                    }
                    seen.append("\(event.action) \(event.offset) \(event.transferred) \(bytes)")
                }
            }
        }
        try loop.sync(file)
        return seen
    }

    @Test func aRecordedRunIsReplayedToTheByte() throws {
        let recorder = TraceRecorder()
        let disk = SimulatedDisk(seed: 12)
        disk.add(.moves(100, IOFault.transfers, .oneIn(3)))
        disk.add(.fails(.interrupted, IOFault.transfers, .oneIn(4)))
        let file = try disk.open("f", options: .create)
        let seen = try run(
            RecordingDriver(disk.makeDriver(depth: 4), recorder: recorder), file)
        let text = recorder.trace.description
        let trace = try #require(IOTrace(text))
        #expect(trace == recorder.trace && recorder.dropped == 0)
        let replay = TraceReplay(trace)
        // The number of the descriptor may be another.
        let other = IODescriptor(simulated: 4711, facts: file.facts)
        #expect(try run(replay.makeDriver(), other) == seen)
        #expect(replay.isFinished && replay.divergence == nil)
    }

    @Test func aRunOnTheKernelIsReplayedWithoutIt() throws {
        guard (try? URingDriver(depth: 1)) != nil else {
            return print("skipped: recording io_uring, which this machine does not grant")
        }
        let recorder = TraceRecorder()
        let path = FilePath(TemporaryFolder.newPath("recorded"))
        let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
        let seen = try run(
            RecordingDriver(try URingDriver(depth: 4), recorder: recorder), file)
        let replay = TraceReplay(recorder.trace)
        #expect(try run(replay.makeDriver(), file) == seen)
        #expect(replay.isFinished && replay.divergence == nil)
    }

    @Test func aRunThatDepartsFromItsTraceIsTold() throws {
        let recorder = TraceRecorder()
        let device = MockDevice()
        let file = device.makeFile(filled(1, 5000))
        _ = try run(RecordingDriver(device.makeDriver(depth: 4), recorder: recorder), file)
        let replay = TraceReplay(recorder.trace)
        var loop = try IOLoop<NoCallback, ReplayingDriver>(depth: 4, driver: replay.makeDriver())
        let event = try loop.finish(.write(file, from: IOBuffer(zeroed: 601), at: 0))
        #expect(event.errno == .canceled)
        let text = try #require(replay.divergence)
        #expect(text.contains("call 1:") && text.contains("601") && text.contains("600"))
        #expect(!replay.isFinished)
    }

    @Test func whatIsNoTraceIsNotRead() {
        for text in [
            "", "hello", "trace 2 1 1 1 x\n", "trace 1 1 1 1 x\nstage 1\n",
            "trace 1 1 1 1 x\nreap 1.1 5 0\n", "trace 1 1 1 1 x\nsubmit 1 - ready\n",
        ] {
            #expect(IOTrace(text) == nil, "\(text)")
        }
        #expect(IOTrace("trace 1 4 2 255 some driver\n")?.driver == "some driver")
    }
}
