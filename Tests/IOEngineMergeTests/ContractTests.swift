import IOEngineAIO
import IOEngineCore
import IOEngineMerge
import IOEngineThreads
import IOEngineURing
import TestSupport
import Testing

/// What every driver has to do, and has to do still with the layer over it.
struct Contract<Base: IODriver & ~Copyable>: Sendable {
    let name: String
    /// Whether a pipe is refused here already. With io_uring the loop does that.
    var refusesPipes = true
    let make: @Sendable (Int) throws -> Base

    static var policies: [MergePolicy] {
        [
            MergePolicy(), MergePolicy(maximumGap: 65_536, copiesPartsUpTo: 1 << 20),
            MergePolicy(wait: .microseconds(50), copiesPartsUpTo: 0),
        ]
    }

    private func checks(_ policy: MergePolicy) -> DriverChecks<MergingDriver<Base>> {
        DriverChecks { depth in MergingDriver(try make(depth), policy: policy) }
    }

    func runAll() throws {
        for policy in Self.policies {
            let checks = checks(policy)
            try checks.room()
            try checks.actions()
            if refusesPipes { try checks.badRequests() }
            try checks.smallReaps()
            for depth in [1, 3, 16] { try checks.manyRounds(depth: depth, rounds: 60) }
            try checks.deadlines()
            try checks.wakesFromAnotherThread()
            try checks.wakesBefore()
            for depth in [1, 4] { try checks.wakesWhenFull(depth: depth) }
            try checks.losesNoWakeUp(pushes: 2000)
            try checks.outlives()
            try checks.drops()
            try checks.dropsWhileAllocating()
        }
    }

    /// What the kernel does not finish, on a file system that is frozen.
    func runStuck() throws {
        let checks = checks(MergePolicy())
        try checks.goesOnBesideWhatIsStuck(label: "merge-stuck-\(name)")
        try checks.dropsWithWhatIsStuck(label: "merge-drop-\(name)")
    }

    func runMix(on name: String) throws {
        guard let fileSystem = TestFileSystem.named(name) else { return }
        var random = SeededRandom()
        for depth in [2, 16, 64] {
            var policy = OracleTests.policy(&random)
            // The mix writes past the page cache and reads through it, each in pages of its own. Gaps
            // would be read into the cache while they are written past it.
            policy.maximumGap = 0
            var mix = try RandomMix(
                on: fileSystem, depth: depth,
                driver: MergingDriver(try make(depth), policy: policy))
            try mix.run(operations: Amount.of(300))
        }
    }
}

@Suite struct ContractTests {
    static let uring = Contract(name: "uring", refusesPipes: false) { try URingDriver(depth: $0) }
    static let aio = Contract(name: "aio") { depth in
        try AIOLimit.unchanged { try AIODriver(depth: depth) }
    }
    static let threads = Contract(name: "threads") { try ThreadPoolDriver(depth: $0) }
    static let needsURing: Comment = "needs io_uring, which this machine does not grant"
    static let needsRoot: Comment = "only root may mount and freeze file systems"

    @Test(.enabled(if: OracleTests.hasURing, needsURing))
    func overURing() throws { try Self.uring.runAll() }

    @Test func overAIO() throws { try Self.aio.runAll() }

    @Test func overThreads() throws { try Self.threads.runAll() }

    @Test(
        .enabled(if: OracleTests.hasURing, needsURing),
        .enabled(if: TestFileSystem.isRoot, needsRoot), arguments: TestFileSystem.available)
    func mixOverURing(_ name: String) throws { try Self.uring.runMix(on: name) }

    @Test(.enabled(if: TestFileSystem.isRoot, needsRoot), arguments: TestFileSystem.available)
    func mixOverAIO(_ name: String) throws { try Self.aio.runMix(on: name) }

    @Test(.enabled(if: TestFileSystem.isRoot, needsRoot), arguments: TestFileSystem.available)
    func mixOverThreads(_ name: String) throws { try Self.threads.runMix(on: name) }

    @Test(.enabled(if: TestFileSystem.isRoot, needsRoot))
    func whatIsStuckOverAIO() throws { try Self.aio.runStuck() }

    @Test(.enabled(if: TestFileSystem.isRoot, needsRoot))
    func whatIsStuckOverThreads() throws { try Self.threads.runStuck() }
}
