import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// Faults as data, damage, and cancelling.
@Suite struct DiskFaultTests {
    /// A quick disk with one file of 8 KiB, byte `i` of it being `i / 512`.
    func make(seed: UInt64 = 1) throws -> (SimulatedDisk, IODescriptor) {
        let disk = SimulatedDisk.quick(seed: seed)
        disk.setContents(of: "f", to: (0..<8192).map { UInt8($0 / 512) })
        let file = try disk.open("f")
        return (disk, file)
    }

    @Test func theNthAndOthersFailAsSaid() throws {
        func failures(_ occurrence: IOFault.Occurrence) throws -> [Int] {
            let (disk, file) = try make()
            var loop = try disk.makeLoop()
            disk.add(.fails(.ioError, IOFault.writes, occurrence))
            return try (1...8).filter { _ in
                let failed = errno { try loop.write(file, [1], at: 0) } == .ioError
                _ = try loop.read(file, 1, at: 0)
                return failed
            }
        }
        #expect(try failures(.each) == Array(1...8))
        #expect(try failures(.first(2)) == [1, 2])
        #expect(try failures(.nth(3)) == [3])
        #expect(try failures(.after(6)) == [7, 8])
        #expect(try failures(.nth(9)) == [])
        let drawn = try failures(.oneIn(2))
        #expect(drawn.count > 0 && drawn.count < 8)
    }

    @Test func faultsChooseByRangeFlagsDescriptorAndFile() throws {
        let (disk, file) = try make()
        var loop = try disk.makeLoop()
        disk.add(.fails(.ioError, IOFault.reads, range: 1024..<2048))
        #expect(errno { try loop.read(file, 1, at: 2047) } == .ioError)
        #expect(try loop.read(file, 1, at: 2048) == [4])
        #expect(errno { try loop.read(file, 600, at: 500) } == .ioError)
        disk.removeFaults()
        #expect(try loop.read(file, 1, at: 2047) == [3])
        disk.add(IOFault(IOFault.writes, flags: .dataSync, effect: .fails(.noSpace)))
        #expect(try loop.write(file, [1], at: 0) == 1)
        #expect(errno { try loop.write(file, [1], at: 0, flags: .dataSync) } == .noSpace)
        disk.removeFaults()
        let other = try disk.open("g", options: .create)
        disk.add(.fails(.ioError, IOFault.writes), file: "g")
        #expect(try loop.write(file, [1], at: 0) == 1)
        #expect(errno { try loop.write(other, [1], at: 0) } == .ioError)
        disk.removeFaults()
        disk.add(
            IOFault(IOFault.writes, descriptor: file.rawValue, effect: .fails(.ioError)))
        #expect(errno { try loop.write(file, [1], at: 0) } == .ioError)
        #expect(try loop.write(other, [1], at: 0) == 1)
    }

    @Test func eachEffectDoesWhatItSays() throws {
        let (disk, file) = try make()
        var loop = try disk.makeLoop()
        disk.add(IOFault(IOFault.writes, .nth(1), effect: .failsThoughDone(.ioError)))
        #expect(errno { try loop.write(file, [77], at: 0) } == .ioError)
        #expect(try loop.read(file, 1, at: 0) == [77])
        disk.removeFaults()

        disk.add(.moves(100, IOFault.reads))
        var event = Event.read(file, into: IOBuffer(capacity: 1000), at: 512)
        event.shortTransfers = .handsOver
        #expect(try loop.finish(event).get() == 100)
        // And the loop continues what is short.
        #expect(try loop.read(file, 1000, at: 512).count == 1000)
        #expect(loop.statistics.continuations == 9)
        disk.removeFaults()

        disk.add(.pretends(IOFault.writes))
        #expect(try loop.write(file, [88, 88], at: 0) == 2)
        #expect(try loop.read(file, 2, at: 0) == [77, 0])
        disk.removeFaults()

        disk.add(IOFault(IOFault.writes, effect: .misdirects(by: 512)))
        #expect(try loop.write(file, [99], at: 1024) == 1)
        disk.removeFaults()
        #expect(try loop.read(file, 1, at: 1024) == [2])
        #expect(try loop.read(file, 1, at: 1536) == [99])

        disk.add(IOFault(IOFault.reads, effect: .flips(bits: 1)))
        let flipped = try loop.read(file, 512, at: 2048)
        disk.removeFaults()
        let differing = zip(flipped, try loop.read(file, 512, at: 2048)).filter { $0 != $1 }
        #expect(differing.count == 1)
        #expect(differing.allSatisfy { ($0 ^ $1).nonzeroBitCount == 1 })

        disk.add(IOFault(IOFault.reads, effect: .isLate(nanoseconds: 1_000_000)))
        let before = disk.now
        _ = try loop.read(file, 1, at: 0)
        #expect(disk.now.nanoseconds(since: before) == 1_000_000)
    }

    @Test func aTransientErrorIsRetriedByTheLoop() throws {
        let (disk, file) = try make()
        var loop = try disk.makeLoop()
        disk.add(.fails(.interrupted, IOFault.reads, .first(3)))
        disk.add(.moves(1, IOFault.reads, .nth(4)))
        #expect(try loop.read(file, 4, at: 511) == [0, 1, 1, 1])
        #expect(loop.statistics.retries == 3 && loop.statistics.continuations == 1)
    }

    @Test func badSectorsStopTransfersWhereTheyLie() throws {
        let (disk, file) = try make()
        var loop = try disk.makeLoop()
        disk.damage("f", 1024..<1536, untilRewritten: true)
        disk.damage("f", 4096..<4608, untilRewritten: false)
        let read = try loop.finish(.read(file, into: IOBuffer(capacity: 2048), at: 0))
        #expect(read.errno == .ioError && read.transferred == 1024)
        #expect(errno { try loop.read(file, 1, at: 1535) } == .ioError)
        // In part it would have to be read; whole it is good again.
        #expect(errno { try loop.write(file, filled(1, 100), at: 1024) } == .ioError)
        let partial = try loop.finish(.write(file, from: IOBuffer(zeroed: 600), at: 800))
        #expect(partial.errno == .ioError && partial.transferred == 224)
        #expect(try loop.write(file, filled(1, 600), at: 1000) == 600)
        #expect(try loop.read(file, 2048, at: 0).count == 2048)
        #expect(errno { try loop.write(file, filled(1, 512), at: 4096) } == .ioError)
        #expect(errno { try loop.read(file, 512, at: 4096) } == .ioError)
        // Bad sectors outlive a crash.
        let after = disk.crash().restart()
        let again = try after.open("f")
        var second = try after.makeLoop()
        #expect(errno { try second.read(again, 512, at: 4096) } == .ioError)
        #expect(try second.read(again, 512, at: 1024).count == 512)
    }

    @Test func rotIsSeenByEveryReadAndSurvives() throws {
        let (disk, file) = try make()
        var loop = try disk.makeLoop()
        disk.rot("f", 512..<513, bits: 1)
        let rotten = try loop.read(file, 1, at: 512)[0]
        #expect((rotten ^ 1).nonzeroBitCount == 1)
        #expect(try loop.read(file, 1, at: 512) == [rotten])
        #expect(disk.safeContents(of: "f")?[512] == rotten)
    }

    @Test func stuckRequestsWaitForCancellingOrRelease() throws {
        let (disk, file) = try make()
        var driver = disk.makeDriver(depth: 4)
        let waker = driver.waker
        disk.add(.stuck(IOFault.writes, .nth(1)))
        disk.add(.stuck(IOFault.writes, .after(1), canBeCancelled: false))
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
        defer { unsafe memory.deallocate() }
        unsafe _ = memory.initializeMemory(as: UInt8.self, repeating: 9, count: 16)
        func write(_ slot: UInt32) -> IORequest {
            unsafe IORequest(
                token: IOToken(slot: slot, generation: 1), action: .write,
                descriptor: file.rawValue, address: memory, offset: Int64(slot), length: 1)
        }
        for slot in 0..<3 as Range<UInt32> { #expect(driver.stage(write(slot)) == .queued) }
        let soon = IOInstant(nanoseconds: 100)
        #expect(driver.submit(minimum: 1, deadline: soon) == .deadlinePassed)
        #expect(driver.cancel(write(0).token) == .requested)
        #expect(driver.cancel(write(1).token) == .tooLate)
        #expect(driver.cancel(IOToken(slot: 3, generation: 1)) == .unknown)
        #expect(driver.submit(minimum: 1, deadline: nil) == .ready)
        var results = driver.reaped()
        #expect(results == [write(0).token: -Int(Errno.canceled.rawValue)])
        #expect(driver.cancel(write(0).token) == .unknown)
        disk.releaseStuck()
        // The wake-up that comes with it, then the requests.
        #expect(driver.submit(minimum: 2, deadline: nil) == .ready)
        #expect(driver.submit(minimum: 2, deadline: nil) == .ready)
        results = driver.reaped()
        #expect(results == [write(1).token: 1, write(2).token: 1])
        #expect(disk.contents(of: "f")?[0...3] == [0, 9, 9, 0])
        _ = waker
        // Not handed over yet: taken back.
        #expect(driver.stage(write(0)) == .queued)
        #expect(driver.cancel(write(0).token) == .cancelled)
        #expect(driver.submit(minimum: 1, deadline: nil) == .ready)
        #expect(driver.reaped() == [write(0).token: -Int(Errno.canceled.rawValue)])
    }

    @Test func cancellingEndsInEveryWayThatItMay() throws {
        var ways: Set<String> = []
        for seed in 1...60 as ClosedRange<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.open("f", options: .create)
            var driver = disk.makeDriver(depth: 1)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 16)
            defer { unsafe memory.deallocate() }
            unsafe _ = memory.initializeMemory(as: UInt8.self, repeating: 9, count: 4096)
            let token = IOToken(slot: 0, generation: 5)
            #expect(
                driver.stage(
                    unsafe IORequest(
                        token: token, action: .write, descriptor: file.rawValue, address: memory,
                        length: 4096)) == .queued)
            _ = driver.submit(minimum: 0, deadline: nil)
            #expect(driver.cancel(token) == .requested && driver.cancel(token) == .requested)
            _ = driver.submit(minimum: 1, deadline: nil)
            let result = driver.reaped()[token] ?? .min
            #expect(disk.contents(of: "f")?.count == max(0, result), "seed \(seed)")
            switch result {
            case 4096: ways.insert("whole")
            case -Int(Errno.canceled.rawValue): ways.insert("cancelled")
            default:
                #expect(result > 0 && result % 512 == 0, "seed \(seed)")
                ways.insert("short")
            }
        }
        #expect(ways.count == 3)
    }
}

extension IODriver where Self: ~Copyable {
    /// What is finished now, results by token.
    mutating func reaped() -> [IOToken: Int] {
        let memory = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: 64)
        defer { unsafe memory.deallocate() }
        var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
        reap(into: &span)
        let count = unsafe span.finalize(for: memory)
        var results: [IOToken: Int] = [:]
        for i in 0..<count { unsafe results[memory[i].token] = memory[i].result }
        return results
    }
}
