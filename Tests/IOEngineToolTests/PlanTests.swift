import IOEngineBench
import IOEngineCore
import Testing

struct PlanTests {
    @Test(arguments: [
        ("0", 0), ("1", 1), ("4096", 4096), ("4k", 4096), ("4K", 4096), ("4kB", 4096),
        ("4KiB", 4096), ("1m", 1 << 20), ("1g", 1 << 30), ("1GiB", 1 << 30), ("2t", 2 << 40),
        ("512b", 512),
    ])
    func sizesAreRead(_ text: String, _ bytes: Int) {
        #expect(ByteCount.parse(text) == bytes)
    }

    @Test(arguments: ["", "k", "-4k", "4.5k", "4x", "4 k", "0x10", "9999999999g", "٤k"])
    func nonsenseIsNoSize(_ text: String) {
        #expect(ByteCount.parse(text) == nil)
    }

    @Test(arguments: [
        (0, "0"), (1, "1"), (4096, "4k"), (4097, "4097"), (1 << 20, "1m"), (3 << 40, "3t"),
    ])
    func sizesAreWritten(_ bytes: Int, _ text: String) {
        #expect(ByteCount.text(bytes) == text)
    }

    static let bad: [(option: String, change: @Sendable (inout BenchPlan) -> Void)] = [
        ("--bs", { $0.blockSize = 0 }),
        ("--bs", { $0.blockSize = .max }),
        ("--bs", { $0.blockSize = $0.size + 1 }),
        ("--bs", { ($0.verify, $0.blockSize) = (true, 1000) }),
        ("--iodepth", { $0.depth = 0 }),
        ("--iodepth", { $0.depth = 1_000_000 }),
        ("--numjobs", { $0.jobs = 0 }),
        ("--numjobs", { $0.jobs = 5000 }),
        ("--numjobs", { ($0.workload, $0.jobs, $0.size) = (.read, 3, 8192) }),
        ("--runtime", { $0.runtimeSeconds = -1 }),
        ("--runtime", { $0.runtimeSeconds = .nan }),
        ("--file-state", { $0.fileState = .partlyWritten }),
        ("--submitters", { ($0.mode, $0.submitters) = (.context, -1) }),
        ("--submitters", { ($0.mode, $0.submitters) = (.context, 5000) }),
        ("--workers", { $0.workers = 1 }),
        ("--mode loop", { ($0.mode, $0.verify) = (.context, true) }),
    ]

    @Test(arguments: bad.indices)
    func badSettingsGetASentence(_ index: Int) {
        var plan = BenchPlan()
        Self.bad[index].change(&plan)
        let error = #expect(throws: BenchError.self) { try plan.validate() }
        let option = Self.bad[index].option
        #expect(error?.sentence.contains(option) == true, "\(error.debugDescription)")
        #expect(error?.sentence.hasSuffix(".") == true)
    }

    @Test func theDefaultPlanIsGood() throws { try BenchPlan().validate() }
}

struct PatternTests {
    @Test(arguments: [0, 1, 0xffff_ffff_ffff_ffff] as [UInt64])
    func whatWasFilledMatches(_ seed: UInt64) {
        var buffer = IOBuffer(capacity: 4096)
        BlockPattern.fill(&buffer, at: 8192, seed: seed)
        #expect(BlockPattern.mismatch(buffer, at: 8192, length: 4096, seed: seed) == nil)
        #expect(BlockPattern.mismatch(buffer, at: 4096, length: 4096, seed: seed) != nil)
        #expect(BlockPattern.mismatch(buffer, at: 8192, length: 4096, seed: seed ^ 2) != nil)
    }

    @Test(arguments: [0, 8, 16, 100, 504, 511, 512, 777, 1023])
    func aChangedByteIsNoticed(_ position: Int) {
        var buffer = IOBuffer(capacity: 1024)
        BlockPattern.fill(&buffer, at: 0, seed: 9)
        buffer[position] ^= 0x40
        #expect(BlockPattern.mismatch(buffer, at: 0, length: 1024, seed: 9) != nil)
    }

    @Test func anEarlyEndIsNoticed() {
        var buffer = IOBuffer(capacity: 1024)
        BlockPattern.fill(&buffer, at: 0, seed: 9)
        buffer.resize(to: 512)
        #expect(BlockPattern.mismatch(buffer, at: 0, length: 1024, seed: 9) != nil)
    }
}

struct OffsetTests {
    @Test func sequencesGoRound() {
        var offsets = OffsetSequence(
            blocks: 2..<5, blockSize: 10, isRandom: false, seed: 1, job: 0)
        #expect((0..<5).map { _ in offsets.nextOffset() } == [20, 30, 40, 20, 30])
    }

    @Test(arguments: [0, 1, 2, 3] as [UInt64])
    func randomOnesReachEveryBlockAndNoOther(_ seed: UInt64) {
        var offsets = OffsetSequence(
            blocks: 3..<11, blockSize: 4096, isRandom: true, seed: seed, job: 1)
        let seen = Set((0..<1000).map { _ in offsets.nextOffset() })
        #expect(seen == Set((3..<11).map { Int64($0) * 4096 }), "seed \(seed)")
    }

    @Test func eachJobGoesItsOwnWay() {
        func first(_ job: Int) -> [Int64] {
            var offsets = OffsetSequence(
                blocks: 0..<1_000_000, blockSize: 1, isRandom: true, seed: 5, job: job)
            return (0..<4).map { _ in offsets.nextOffset() }
        }
        #expect(first(0) != first(1))
        #expect(first(1) == first(1))
    }
}
