import Glibc
import IOEngineCore
import IOEngineMerge
import IOEngineMock
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// Merged against unmerged: the same file, the same result and bytes for each event.
///
/// ``Amount`` says how to make the campaigns longer.
@Suite struct OracleTests {
    static func policy(_ random: inout SeededRandom) -> MergePolicy {
        MergePolicy(
            maximumBytes: [4096, 30_000, 128 << 10, 1 << 20].randomElement(using: &random)!,
            maximumParts: [2, 3, 32, 1024].randomElement(using: &random)!,
            maximumGap: [0, 0, 1000, 8192].randomElement(using: &random)!,
            wait: .nanoseconds([0, 0, 500, 20_000].randomElement(using: &random)!),
            copiesPartsUpTo: [0, 1024, 1 << 20].randomElement(using: &random)!)
    }

    enum Weather: CaseIterable {
        case fair, shortTransfers, badSectors, cancellations, everything
    }

    /// A file in memory and what goes wrong with it.
    private func memories(
        _ weather: Weather, _ options: inout MixOptions, depth: Int, seed: UInt64
    ) -> Memories {
        let memories = Memories(Device(size: options.size).bytes, depth: depth, seed: seed ^ 0x77)
        var random = SeededRandom(seed: seed ^ 0x99)
        memories.maximumVectors = [0, 2, 16, 1024].randomElement(using: &random)!
        let all = weather == .everything
        if weather == .fair { options.grows = true }
        if weather == .shortTransfers || all {
            memories.short = 15
            memories.again = 5
            memories.full = 20
            options.handsOver = true
        }
        if weather == .badSectors || all {
            for _ in 0..<4 {
                let start = Int.random(in: 0..<options.size / 512, using: &random) * 512
                options.badRanges.append(start..<start + 512)
            }
            memories.badRanges = options.badRanges
        }
        if weather == .cancellations || all { options.stops = true }
        return memories
    }

    @Test(arguments: Weather.allCases)
    func onAFileInMemory(_ weather: Weather) throws {
        var random = SeededRandom()
        for _ in 0..<Amount.of(2) {
            let seed = random.next()
            let depth = [1, 8, 32, 100].randomElement(using: &random)!
            let policy = Self.policy(&random)
            let merged = try run(weather, depth, seed, policy)
            let plain = try run(weather, depth, seed, nil)
            // What fails or is stopped half-way leaves bytes that depend on the moment.
            let isExact = weather == .fair
            let difference = zip(merged, plain).enumerated().first {
                isExact ? $1.0 != $1.1 : !$1.0.agrees(with: $1.1)
            }
            let isSame = difference == nil
            #expect(isSame, "\(String(describing: difference)), seed \(seed), \(random.note)")
            let isComplete = merged.count == plain.count && !merged.contains(.missing)
            #expect(isComplete)
        }
    }

    /// What a file without `badSectors` leaves is in the outcomes of its reads.
    private func run(
        _ weather: Weather, _ depth: Int, _ seed: UInt64, _ policy: MergePolicy?
    ) throws -> [MixOutcome] {
        var options = MixOptions()
        let memories = memories(weather, &options, depth: depth, seed: seed)
        let initially = Device(size: options.size).bytes
        let contents = { (range: Range<Int>) in memories.contents(range) }
        let file = FileDescriptor(rawValue: 3)
        let count = 500
        defer { #expect(memories.violations.isEmpty, "\(memories.violations), seed \(seed)") }
        guard let policy else {
            var mix = try Mix(
                memories.makeDriver(), depth: depth, on: file, initially: initially, options,
                seed: seed, contents: contents)
            try mix.run(operations: count)
            return mix.outcomes
        }
        var mix = try Mix(
            MergingDriver(memories.makeDriver(), policy: policy), depth: depth, on: file,
            initially: initially, options, seed: seed, contents: contents)
        try mix.run(operations: count)
        return mix.outcomes
    }

    static let hasURing = (try? URingDriver(depth: 1)) != nil

    @Test(
        .enabled(if: hasURing, "needs io_uring, which this machine does not grant"),
        arguments: TestFileSystem.available, [false, true])
    func onAFile(_ name: String, direct: Bool) throws {
        guard let fileSystem = TestFileSystem.named(name) else { return }
        var random = SeededRandom()
        for _ in 0..<Amount.of(2) {
            let seed = random.next()
            let depth = [4, 32, 128].randomElement(using: &random)!
            let policy = Self.policy(&random)
            let merged = try run(on: fileSystem, direct, depth, seed, policy)
            let plain = try run(on: fileSystem, direct, depth, seed, nil)
            let isSame = merged == plain
            #expect(isSame, "seed \(seed), \(random.note)")
        }
    }

    private func run(
        on fileSystem: TestFileSystem, _ direct: Bool, _ depth: Int, _ seed: UInt64,
        _ policy: MergePolicy?
    ) throws -> [MixOutcome] {
        var options = MixOptions()
        options.unit = 4096
        options.alignment = direct ? 4096 : 1
        options.grows = true
        let path = fileSystem.newPath("merge")
        defer { unsafe unlink(path) }
        let initially = Device(size: options.size).bytes
        let access = try FileDescriptor.open(
            FilePath(path), .readWrite, options: [.create, .exclusiveCreate],
            permissions: .ownerReadWrite)
        defer { try? access.close() }
        try access.writeAll(initially)
        let file = try IODescriptor.open(FilePath(path), .readWrite, direct: direct)
        let contents = { (range: Range<Int>) in
            var bytes = [UInt8](repeating: 0, count: range.count)
            let count = unsafe pread(access.rawValue, &bytes, range.count, off_t(range.lowerBound))
            return Array(bytes.prefix(max(0, count)))
        }
        return try withExtendedLifetime(file) {
            if let policy {
                var mix = try Mix(
                    MergingDriver(try URingDriver(depth: depth), policy: policy), depth: depth,
                    on: file.fileDescriptor, initially: initially, options, seed: seed,
                    contents: contents)
                try mix.run(operations: 500)
                return mix.outcomes
            }
            var mix = try Mix(
                try URingDriver(depth: depth), depth: depth, on: file.fileDescriptor,
                initially: initially, options, seed: seed, contents: contents)
            try mix.run(operations: 500)
            return mix.outcomes
        }
    }
}
