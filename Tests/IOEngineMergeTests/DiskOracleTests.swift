import IOEngineCore
import IOEngineMerge
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// Merged against unmerged on a simulated disk: the same mixes as on real files, and what those cannot
/// be made to do.
@Suite struct DiskOracleTests {
    typealias Weather = OracleTests.Weather

    /// A disk with one file, and what goes wrong with it.
    private struct Bench {
        var options = MixOptions()
        let disk: SimulatedDisk
        let file: IODescriptor

        init(_ weather: Weather, direct: Bool, seed: UInt64) throws {
            var random = SeededRandom(seed: seed ^ 0x99)
            var configuration = SimulatedDisk.Configuration(seed: seed)
            configuration.maximumVectors = [0, 2, 16, 1024].randomElement(using: &random)!
            configuration.earlyWakeUps = 20
            configuration.journalLimit = 0
            configuration.historyLimit = 1 << 20
            disk = SimulatedDisk(configuration)
            options.size = 128 << 10
            options.alignment = direct ? 512 : 1
            disk.setContents(of: "file", to: Device(size: options.size).bytes)
            file = try disk.open("file", .readWrite, direct: direct)
            let all = weather == .everything
            options.grows = weather == .fair
            options.stops = weather == .cancellations || all
            if weather == .shortTransfers || all {
                options.handsOver = true
                // The sizes are whole sectors, so that direct transfers can go on from there.
                for bytes in [512, 4096, 9728] {
                    disk.add(.moves(bytes, IOFault.transfers, .oneIn(20)))
                }
                disk.add(.fails(.interrupted, IOFault.transfers, .oneIn(40)))
                disk.add(.fails(.resourceTemporarilyUnavailable, IOFault.transfers, .oneIn(40)))
            }
            if weather == .badSectors || all {
                for _ in 0..<4 {
                    let start = Int.random(in: 0..<options.size / 512, using: &random) * 512
                    options.badRanges.append(start..<start + 512)
                    disk.damage(
                        "file", Int64(start)..<Int64(start + 512), untilRewritten: false)
                }
            }
        }

        func contents(_ range: Range<Int>) -> [UInt8] {
            let bytes = disk.contents(of: "file") ?? []
            return Array(bytes[range.clamped(to: 0..<bytes.count)])
        }
    }

    @Test(arguments: Weather.allCases, [false, true])
    func onASimulatedDisk(_ weather: Weather, direct: Bool) throws {
        var random = SeededRandom()
        for _ in 0..<Amount.of(2) {
            let seed = random.next()
            let depth = [1, 8, 32, 100].randomElement(using: &random)!
            let policy = OracleTests.policy(&random)
            let merged = try run(weather, direct, depth, seed, policy)
            let plain = try run(weather, direct, depth, seed, nil)
            // What fails or is stopped half-way leaves bytes that depend on the moment.
            let isSame = zip(merged, plain).allSatisfy {
                weather == .fair ? $0 == $1 : $0.agrees(with: $1)
            }
            #expect(isSame, "seed \(seed), \(random.note)")
            let isComplete = merged.count == plain.count && !merged.contains(.missing)
            #expect(isComplete)
        }
    }

    private func run(
        _ weather: Weather, _ direct: Bool, _ depth: Int, _ seed: UInt64, _ policy: MergePolicy?
    ) throws -> [MixOutcome] {
        let bench = try Bench(weather, direct: direct, seed: seed)
        let initially = Device(size: bench.options.size).bytes
        return try withExtendedLifetime(bench.file) {
            guard let policy else {
                var mix = try Mix(
                    bench.disk.makeDriver(depth: depth), depth: depth,
                    on: bench.file.fileDescriptor, initially: initially,
                    bench.options, seed: seed, contents: bench.contents)
                try mix.run(operations: 500)
                return mix.outcomes
            }
            var mix = try Mix(
                MergingDriver(bench.disk.makeDriver(depth: depth), policy: policy), depth: depth,
                on: bench.file.fileDescriptor, initially: initially, bench.options, seed: seed,
                contents: bench.contents)
            try mix.run(operations: 500)
            return mix.outcomes
        }
    }

    // MARK: Overlaps in flight together

    /// Nothing fails: what the events gave, in the order in which they came back, is what they give one
    /// after the other.
    @Test(arguments: [true, false])
    func overlapsAreAsInSomeSerialOrder(merged: Bool) throws {
        try overlaps(merged, .init())
    }

    /// An event may be done in several steps: that holds for each sector by itself.
    @Test(arguments: [true, false])
    func overlapsWithFaultsAreSoForEachSector(merged: Bool) throws {
        try overlaps(merged, .init(isStrict: false))
    }

    private func overlaps(_ merged: Bool, _ options: OverlapOptions) throws {
        var random = SeededRandom()
        for _ in 0..<Amount.of(2) {
            let seed = random.next()
            let depth = [2, 8, 32, 100].randomElement(using: &random)!
            let policy = OracleTests.policy(&random)
            var configuration = SimulatedDisk.Configuration(seed: seed)
            configuration.maximumVectors = [0, 2, 16, 1024].randomElement(using: &random)!
            configuration.journalLimit = 0
            configuration.historyLimit = 1 << 20
            let disk = SimulatedDisk(configuration)
            if merged {
                try OverlapMix.run(disk, options, depth: depth, seed: seed) {
                    MergingDriver($0, policy: policy)
                }
            } else {
                try OverlapMix.run(disk, options, depth: depth, seed: seed) { $0 }
            }
        }
    }
}
