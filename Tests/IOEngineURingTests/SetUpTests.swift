import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// How a ring is set up, and that it then works.
@Suite struct SetUpTests {
    @Test(
        "each rung of the ladder gives a driver that reads",
        arguments: URingConfiguration.Rung.allCases)
    func rungs(_ rung: URingConfiguration.Rung) throws {
        let file = try fileWith(pattern(4096))
        var driver = try URingDriver(depth: 8, configuration: .init(firstRung: rung))
        let memory = RawMemory(4096)
        try driver.mustStage(IORequest(.read, 0, file.rawValue, memory))
        let results = try driver.finish(1)
        #expect(results == [0: 4096])
        let setUp = driver.capabilities.setUp
        switch rung {
        case .deferred:
            #expect(setUp.contains("granted submit") || setUp.contains("deferred task run"))
        case .cooperative: #expect(setUp.contains("cooperative task run"))
        case .plain: #expect(setUp.contains("plain flags") || setUp.contains("no-iowait"))
        }
        if rung != .deferred { #expect(!setUp.contains("deferred task run")) }
        if rung == .plain { #expect(!setUp.contains("cooperative")) }
    }

    /// A driver on a rung, with or without an index array; nil: this kernel has no such ring.
    private func driver(
        _ rung: URingConfiguration.Rung, hasIndexArray: Bool
    ) throws -> URingDriver? {
        var configuration = URingConfiguration(firstRung: rung)
        configuration.hasIndexArray = hasIndexArray
        do {
            return try URingDriver(depth: 8, configuration: configuration)
        } catch {
            guard !hasIndexArray, error.errno == .invalidArgument else { throw error }
            print(
                "skipped: a ring without an index array, which this kernel does not have (6.6 has)")
            return nil
        }
    }

    @Test(
        "with an index array and without, everything that is staged arrives in its order",
        arguments: URingConfiguration.Rung.allCases, [true, false])
    func indexArrays(_ rung: URingConfiguration.Rung, _ hasIndexArray: Bool) throws {
        let file = try fileWith(pattern(8 * 512))
        guard var driver = try driver(rung, hasIndexArray: hasIndexArray) else { return }
        let setUp = driver.capabilities.setUp
        #expect(setUp.contains("\(hasIndexArray ? "with" : "without") an index array"), "\(setUp)")
        let memory = RawMemory(8 * 512)
        let wanted = pattern(8 * 512)
        // Several times around the queue, in batches that do not divide it.
        for round in 0..<50 {
            memory.fill(with: 0)
            let count = 1 + round % 7
            for slot in 0..<count {
                try driver.mustStage(
                    IORequest(
                        .read, UInt32(slot), file.rawValue, memory, place: slot * 512, count: 512,
                        at: Int64((slot + round) % 8 * 512)))
            }
            let results = try driver.finish(count)
            #expect(results.values.allSatisfy { $0 == 512 })
            for slot in 0..<count {
                try #require(memory[slot * 512 + 77] == wanted[(slot + round) % 8 * 512 + 77])
            }
        }
    }

    @Test("what is not asked for is done without where the kernel can")
    func indexArrayByDefault() throws {
        let canDoWithout = try driver(.deferred, hasIndexArray: false) != nil
        let report = try URingReport(depth: 8)
        #expect(report.hasIndexArray == !canDoWithout)
        #expect(report.flags.contains("NO_SQARRAY") == canDoWithout)
        #expect(report.setUp.contains("\(canDoWithout ? "without" : "with") an index array"))
    }

    @Test("capabilities say what there is")
    func capabilities() throws {
        let driver = try URingDriver(depth: 5)
        let capabilities = driver.capabilities
        #expect(capabilities.name == "uring")
        #expect(capabilities.depth == 5)
        #expect(capabilities.maximumVectors == 1024)
        #expect(capabilities.registersMemory && capabilities.registersDescriptors)
        #expect(capabilities.actions == Set(IOAction.allCases))
        #expect(capabilities.setUp.contains("granted"))
        #expect(capabilities.setUp.contains("for depth 5"))
        let without = try URingDriver(depth: 5, configuration: .init(registeredDescriptors: 0))
        #expect(!without.capabilities.registersDescriptors)
    }

    @Test(
        "depth 1, a depth that is no power of two, and the largest work",
        arguments: [1, 3, 100, 32_768])
    func depths(_ depth: Int) throws {
        let file = try fileWith(pattern(64))
        var driver = try URingDriver(depth: depth)
        let count = min(depth, 200)
        let memory = RawMemory(64 * count)
        for i in 0..<count {
            try driver.mustStage(
                IORequest(.read, UInt32(i), file.rawValue, memory, place: i * 64, count: 64))
        }
        let results = try driver.finish(count)
        #expect(results.values.allSatisfy { $0 == 64 })
    }

    @Test("submission polling works, also with more staged than the queue holds")
    func polling() throws {
        let blocks = 64
        let file = try fileWith(pattern(blocks * 512))
        let configuration = URingConfiguration(submissionPolling: .init(idleMilliseconds: 10))
        var driver = try URingDriver(depth: 16, configuration: configuration)
        #expect(driver.capabilities.setUp.contains("submission polling"))
        let memory = RawMemory(16 * 512)
        let wanted = pattern(blocks * 512)
        for round in 0..<25 {
            var refused = 0
            for slot in 0..<20 {
                let block = (round * 16 + slot) % blocks
                let request = IORequest(
                    .read, UInt32(slot), file.rawValue, memory, place: slot % 16 * 512, count: 512,
                    at: Int64(block) * 512)
                if driver.stage(request) == .full { refused += 1 }
            }
            #expect(refused == 4, "no more than the depth is in flight")
            let results = try driver.finish(16)
            #expect(results.values.allSatisfy { $0 == 512 })
            for slot in 0..<16 {
                let block = (round * 16 + slot) % blocks
                try #require(memory[slot * 512 + 100] == wanted[block * 512 + 100])
            }
        }
        var loop = try PulledLoop.make(depth: 4, configuration)
        var bytes = 0
        for i in 0..<300 {
            while !loop.hasRoom {
                let event = try loop.waitForOne()
                bytes += event.outcome.bytes ?? 0
            }
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 512), at: Int64(i % blocks) * 512))
        }
        while loop.inFlight > 0 {
            let event = try loop.waitForOne()
            bytes += event.outcome.bytes ?? 0
        }
        #expect(bytes == 300 * 512)
    }

    @Test(
        "as many kernel workers may block as there are requests, and a smaller ring takes none away"
    )
    func workersForTheDepth() throws {
        let found = Slot<[String]>()
        // The limits are the thread's.
        try TestThread {
            var limits: [String] = []
            for depth in [300, 1, 5000] {
                let setUp = (try? URingDriver(depth: depth).capabilities.setUp) ?? "no driver"
                let parts = setUp.split(separator: ";")
                limits.append(String(parts.first { $0.contains("kernel workers") } ?? "none"))
            }
            let bounded = (try? URingReport(depth: 8))?.kernelWorkers.bounded
            limits.append("at most \(bounded ?? 0) for files")
            found.put(limits)
        }.join()
        let limits = try found.take()
        guard !limits[0].contains("refused") else {
            return print("skipped: limits of kernel workers:\(limits[0])")
        }
        for (limit, wanted) in zip(limits, [300, 300, 1024, 1024]) {
            #expect(limit.contains("at most \(wanted) for files"), "\(limits)")
        }
    }

    @Test("a cap on the kernel's workers is accepted, and work for workers gets done")
    func workers() throws {
        let file = try fileWith([])
        let configuration = URingConfiguration(kernelWorkers: .init(bounded: 2, unbounded: 3))
        var driver = try URingDriver(depth: 16, configuration: configuration)
        #expect(driver.capabilities.setUp.contains("kernel workers: at most 2 for files"))
        for slot in 0..<16 {
            try driver.mustStage(
                .plain(
                    .allocate, UInt32(slot), file.rawValue, offset: Int64(slot) * 4096, length: 4096
                ))
        }
        let results = try driver.finish(16)
        #expect(results.values.allSatisfy { $0 == 0 })
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size == 65536)
    }
}
