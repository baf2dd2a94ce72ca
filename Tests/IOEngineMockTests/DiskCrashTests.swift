import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// What crashes leave, and what they do to those who use the disk.
@Suite struct DiskCrashTests {
    /// Runs with many seeds, each crashed with many fates, against the oracle.
    ///
    /// - Parameter reachesAll: Whether each version that is allowed must be seen.
    func check(
        _ seeds: ClosedRange<UInt64>, fates: UInt64, reachesAll: Bool,
        _ change: (inout SimulatedDisk.Configuration) -> Void = { _ in }
    ) throws {
        var open = 0
        var missed = 0
        for seed in seeds {
            let run = try DurabilityRun(seed: seed, change)
            let crash = try #require(run.disk.crashed)
            var seen = Array(repeating: Set<UInt8>(), count: DurabilityRun.sectors)
            for number in 0..<fates {
                let fate = crash.drawFate(seed: number)
                let found = try #require(
                    DurabilityRun.found(crash.restart(fate)), "a sector is mixed, seed \(seed)")
                if let problem = run.oracle.problem(found) {
                    Issue.record("seed \(seed), fate \(number) \(fate): \(problem)")
                    return
                }
                for sector in found.indices { seen[sector].insert(found[sector]) }
            }
            for sector in seen.indices {
                let allowed = run.oracle.allowed(sector)
                if allowed.count > 1 { open += 1 }
                missed += allowed.count - seen[sector].count
            }
        }
        #expect(open > 0)
        if reachesAll { #expect(missed == 0, "versions that are allowed and never came") }
    }

    @Test func aCrashLeavesEveryVersionThatIsAllowedAndNoOther() throws {
        try check(1...40, fates: 300, reachesAll: true)
    }

    @Test func largeSectorsAreNotTorn() throws {
        try check(1...15, fates: 100, reachesAll: false) {
            $0.sectorSize = 4096
            $0.largestAtomicWrite = 65_536
        }
    }

    @Test func aProtectedCacheLosesOnlyWhatIsInFlight() throws {
        try check(1...30, fates: 100, reachesAll: false) { $0.hasProtectedCache = true }
    }

    @Test func anOrderedDiskLosesOnlyATail() throws {
        try check(1...30, fates: 60, reachesAll: false) { $0.isOrdered = true }
        // Each write goes to a sector of its own: what is there has no gap.
        let disk = SimulatedDisk.quick(seed: 3) { $0.isOrdered = true }
        let file = try disk.open("f", options: .create)
        var loop = try disk.makeLoop()
        for i in 0..<20 { try loop.write(file, filled(1, 512), at: Int64(i) * 512) }
        let crash = disk.crash()
        var sizes: Set<Int> = []
        for seed in 0..<200 as Range<UInt64> {
            let bytes = try #require(crash.restart(crash.drawFate(seed: seed)).contents(of: "f"))
            #expect(bytes.allSatisfy { $0 == 1 } && bytes.count % 512 == 0)
            sizes.insert(bytes.count)
        }
        #expect(sizes.count == 21)
    }

    @Test func unsyncedGrowthIsOldNewOrBetweenWithZerosForWhatIsLost() throws {
        let disk = SimulatedDisk.quick(seed: 5)
        disk.setContents(of: "f", to: filled(9, 700))
        let file = try disk.open("f")
        var loop = try disk.makeLoop()
        try loop.write(file, filled(1, 3000), at: 700)
        let crash = disk.crash()
        #expect(crash.growths.count == 1 && crash.growths[0].safe == 700)
        var sizes: Set<Int> = []
        var hasHole = false
        for seed in 0..<300 as Range<UInt64> {
            let bytes = try #require(crash.restart(crash.drawFate(seed: seed)).contents(of: "f"))
            sizes.insert(bytes.count)
            #expect(bytes[..<700].allSatisfy { $0 == 9 })
            #expect(bytes[700...].allSatisfy { $0 == 1 || $0 == 0 })
            if bytes.count == 3700, bytes[700...].contains(0) { hasHole = true }
        }
        #expect(sizes.contains(700) && sizes.contains(3700) && hasHole)
        #expect(sizes.isSubset(of: [700, 3700, 1024, 1536, 2048, 2560, 3072, 3584]))
        #expect(sizes.count == 8)
    }

    @Test func aSyncCoversWhatHadCompletedWhenItWasStaged() throws {
        let disk = SimulatedDisk(seed: 6)
        disk.setContents(of: "f", to: filled(0, 1024))
        let file = try disk.open("f")
        var driver = disk.makeDriver(depth: 4)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 512, alignment: 512)
        defer { unsafe memory.deallocate() }
        unsafe _ = memory.initializeMemory(as: UInt8.self, repeating: 7, count: 512)
        func request(_ slot: UInt32, _ action: IOAction, at offset: Int64 = 0) -> IORequest {
            unsafe IORequest(
                token: IOToken(slot: slot, generation: 0), action: action,
                descriptor: file.rawValue, address: action.isTransfer ? memory : nil,
                offset: offset,
                length: action.isTransfer ? 512 : 0)
        }
        _ = driver.stage(request(0, .write))
        _ = driver.submit(minimum: 1, deadline: nil)
        _ = driver.stage(request(1, .syncData))
        // Completed before the sync is handed over, but after it was staged.
        _ = driver.stage(request(2, .write, at: 512))
        _ = driver.submit(minimum: 3, deadline: nil)
        #expect(disk.contents(of: "f") == filled(7, 1024))
        #expect(disk.safeContents(of: "f") == filled(7, 512) + filled(0, 512))
    }

    @Test func aFailedSyncForsakesAndOnlyRewritingHelps() throws {
        let disk = SimulatedDisk.quick(seed: 7)
        disk.setContents(of: "f", to: filled(0, 512))
        let file = try disk.open("f")
        var loop = try disk.makeLoop()
        disk.add(.fails(.ioError, IOFault.syncs, .nth(1)))
        try loop.write(file, filled(1, 512), at: 0)
        #expect(errno { try loop.sync(file) } == .ioError)
        file.clearSyncError()
        try loop.sync(file)
        #expect(disk.safeContents(of: "f") == filled(0, 512))
        #expect(try loop.read(file, 512, at: 0) == filled(1, 512))
        try loop.write(file, filled(1, 512), at: 0)
        try loop.sync(file)
        #expect(disk.safeContents(of: "f") == filled(1, 512))
    }

    @Test func aWriteThatNeverBecomesDurableIsSeenUntilTheCrash() throws {
        let disk = SimulatedDisk.quick(seed: 8)
        disk.setContents(of: "f", to: filled(0, 512))
        let file = try disk.open("f")
        var loop = try disk.makeLoop()
        disk.add(IOFault(IOFault.writes, .nth(1), effect: .neverDurable))
        try loop.write(file, filled(1, 512), at: 0)
        try loop.sync(file)
        #expect(try loop.read(file, 512, at: 0) == filled(1, 512))
        #expect(disk.safeContents(of: "f") == filled(0, 512))
        disk.removeFaults()
        disk.add(.pretends(IOFault.syncs))
        try loop.write(file, filled(2, 512), at: 0)
        try loop.sync(file)
        #expect(disk.safeContents(of: "f") == filled(0, 512))
    }

    @Test func aCrashEndsWhatIsInFlightAsCrashedAndClosesTheLoop() throws {
        let disk = SimulatedDisk(seed: 9)
        disk.setContents(of: "f", to: filled(1, 4096))
        let file = try disk.open("f")
        var loop = try disk.makeLoop(depth: 4)
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 64), at: 0))
        _ = loop.submit(.write(file, from: IOBuffer(zeroed: 64), at: 0))
        loop.handOver()
        _ = loop.submit(.sync(file))
        disk.crash()
        for _ in 0..<3 {
            _ = loop.wait()
            let found = loop.next()
            guard let event = found, case .failure(let error) = event.result else {
                Issue.record("must fail")
                return
            }
            #expect(error.reason == .crashed && event.isSettled)
            #expect(error.description.contains("crashed"))
        }
        #expect(loop.inFlight == 0)
        guard case .closed = loop.submit(.noOperation()) else {
            Issue.record("must be closed")
            return
        }
        loop.drain()
        guard case .closed = loop.submit(.noOperation()) else {
            Issue.record("must stay closed")
            return
        }
        #expect(errno { try disk.open("f") } == .notRecoverable)
        #expect(disk.crash() === disk.crashed)
    }

    @Test func recoveryCanCrashToo() throws {
        let disk = SimulatedDisk.quick(seed: 10)
        let file = try disk.open("f", options: .create)
        var loop = try disk.makeLoop()
        try loop.write(file, filled(1, 512), at: 0)
        try loop.sync(file)
        let second = disk.crash().restart()
        #expect(second.contents(of: "f") == filled(1, 512))
        let again = try second.open("f")
        var secondLoop = try second.makeLoop()
        try secondLoop.write(again, filled(2, 512), at: 512)
        second.crash(afterStep: second.steps + 1)
        #expect(errno { try secondLoop.write(again, filled(3, 512), at: 0) } == .notRecoverable)
        let crash = try #require(second.crashed)
        #expect(crash.writes.map(\.state) == [.completed, .inFlight])
        let third = crash.restart(CrashFate(writes: [.lost, .reached], growths: [.whole]))
        #expect(third.contents(of: "f") == filled(3, 512) + filled(0, 512))
    }

    @Test func anAtomicWriteIsWholeOrNotThereWhateverFateItIsGiven() throws {
        let disk = SimulatedDisk.quick(seed: 12)
        disk.setContents(of: "f", to: filled(0, 4096))
        let file = try disk.open("f", direct: true)
        var loop = try disk.makeLoop()
        try loop.write(file, filled(1, 4096), at: 0, flags: .atomic)
        let crash = disk.crash()
        var found: Set<Int> = []
        for seed in 0..<40 as Range<UInt64> {
            let fate = CrashFate(writes: [.torn(seed: seed)], growths: [])
            let bytes = try #require(crash.restart(fate).contents(of: "f"))
            found.insert(bytes.filter { $0 == 1 }.count)
            if case .torn = crash.drawFate(seed: seed).writes[0] {
                Issue.record("a torn fate was drawn for an atomic write")
            }
        }
        #expect(found == [0, 4096])
    }

    @Test func aFateIsText() throws {
        let fate = CrashFate(
            writes: [.reached, .lost, .torn(seed: 77), .reached],
            growths: [.partly(seed: 5), .whole, .lost])
        #expect(fate.description == "+-~77.+/~5.+-")
        #expect(CrashFate(fate.description) == fate)
        #expect(CrashFate("/") == CrashFate(writes: [], growths: []))
        for bad in ["", "+", "x/", "~/", "~5/", "+/+/+"] { #expect(CrashFate(bad) == nil) }
    }

    @Test func tooMuchHistoryIsWrittenBack() throws {
        let disk = SimulatedDisk.quick(seed: 11) { $0.historyLimit = 100 * 512 }
        disk.setContents(of: "f", to: filled(0, 512 * 300))
        let file = try disk.open("f")
        var loop = try disk.makeLoop()
        for i in 0..<300 { try loop.write(file, filled(1, 512), at: Int64(i) * 512) }
        let safe = try #require(disk.safeContents(of: "f")).filter { $0 == 1 }.count
        #expect(safe >= 200 * 512 && safe < 300 * 512)
        #expect(disk.crash().writes.count <= 100)
    }

    @Test func whatIsForsakenIsLostWhenHistoryIsGivenUp() throws {
        let disk = SimulatedDisk.quick(seed: 13) { $0.historyLimit = 20 * 512 }
        disk.setContents(of: "f", to: filled(0, 16_384))
        let file = try disk.open("f")
        var loop = try disk.makeLoop()
        disk.add(IOFault(IOFault.writes, .nth(1), effect: .neverDurable))
        for i in 0..<30 { try loop.write(file, filled(1, 512), at: Int64(i) * 512) }
        try loop.sync(file)
        #expect(disk.contents(of: "f").map { Array($0.prefix(1024)) } == filled(1, 1024))
        let safe = try #require(disk.safeContents(of: "f"))
        #expect(Array(safe.prefix(512)) == filled(0, 512))
        #expect(Array(safe[512..<30 * 512]) == filled(1, 29 * 512))
        let crash = disk.crash()
        #expect(crash.writes.isEmpty && crash.restart().contents(of: "f") == safe)
    }

    @Test func droppingADriverMayOrMayNotWriteWhatIsInFlight() throws {
        var outcomes: Set<Bool> = []
        for seed in 1...20 as ClosedRange<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            let file = try disk.open("f", options: .create)
            let memory = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
            defer { unsafe memory.deallocate() }
            unsafe memory.storeBytes(of: 1, as: UInt64.self)
            do {
                var driver = disk.makeDriver(depth: 2)
                _ = driver.stage(
                    unsafe IORequest(
                        token: IOToken(slot: 0, generation: 0), action: .write,
                        descriptor: file.rawValue, address: memory, length: 8))
                _ = driver.submit(minimum: 0, deadline: nil)
            }
            outcomes.insert(disk.contents(of: "f")?.isEmpty == true)
        }
        #expect(outcomes.count == 2)
    }
}
