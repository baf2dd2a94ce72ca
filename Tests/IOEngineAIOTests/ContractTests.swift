import IOEngineAIO
import IOEngineCore
import TestSupport
import Testing

typealias AIOLoop = IOLoop<NoCallback, AIODriver>

/// A driver, made while no test has changed the machine's limit.
func makeDriver(
    depth: Int, _ configuration: AIOConfiguration = .init()
) throws -> AIODriver {
    try AIOLimit.unchanged { try AIODriver(depth: depth, configuration: configuration) }
}

/// What every driver has to do, in each way this one may be set up.
@Suite struct ContractTests {
    static let rootOnly: Comment = "only root may mount and freeze file systems"

    /// One way.
    struct SetUp: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var configuration = AIOConfiguration()
    }

    static let setUps: [SetUp] = [
        SetUp(testDescription: "default"),
        SetUp(testDescription: "no ring", configuration: .init(reapsInUserSpace: false)),
        SetUp(testDescription: "context of 1", configuration: .init(contextSize: 1)),
        SetUp(
            testDescription: "context of 3, one helper",
            configuration: .init(contextSize: 3, helperThreads: 1)),
    ]

    private func checks(_ setUp: SetUp) -> DriverChecks<AIODriver> {
        DriverChecks { try makeDriver(depth: $0, setUp.configuration) }
    }

    @Test("stage answers full at the depth, and takes again what was reaped", arguments: setUps)
    func room(_ setUp: SetUp) throws { try checks(setUp).room() }

    @Test("every action answers as the system call does", arguments: setUps)
    func actions(_ setUp: SetUp) throws { try checks(setUp).actions() }

    @Test("good, bad, good: the bad one fails, its neighbours do not", arguments: setUps)
    func badRequests(_ setUp: SetUp) throws { try checks(setUp).badRequests() }

    @Test("more completions than the span holds stay for the next reap", arguments: setUps)
    func smallReaps(_ setUp: SetUp) throws { try checks(setUp).smallReaps() }

    @Test("many times as many requests as the ring has places", arguments: setUps, [1, 3, 16])
    func manyRounds(_ setUp: SetUp, depth: Int) throws {
        try checks(setUp).manyRounds(depth: depth, rounds: 200)
    }

    @Test("helpers that finish while the driver goes to sleep wake it", arguments: setUps)
    func hopsOneByOne(_ setUp: SetUp) throws { try checks(setUp).hopsOneByOne(rounds: 2000) }

    @Test("a deadline ends a wait", arguments: setUps)
    func deadlines(_ setUp: SetUp) throws { try checks(setUp).deadlines() }

    @Test("another thread ends a wait with nothing in flight, each time", arguments: setUps)
    func wakesFromAnotherThread(_ setUp: SetUp) throws {
        try checks(setUp).wakesFromAnotherThread()
    }

    @Test("a wake-up that comes first ends the next wait at once", arguments: setUps)
    func wakesBefore(_ setUp: SetUp) throws { try checks(setUp).wakesBefore() }

    @Test("with a full queue a wake-up finds its way", arguments: setUps, [1, 4])
    func wakesWhenFull(_ setUp: SetUp, depth: Int) throws {
        try checks(setUp).wakesWhenFull(depth: depth)
    }

    @Test("no wake-up between looking and sleeping is lost", arguments: setUps)
    func losesNoWakeUp(_ setUp: SetUp) throws { try checks(setUp).losesNoWakeUp(pushes: 10_000) }

    @Test("a waker outlives its driver", arguments: setUps)
    func outlives(_ setUp: SetUp) throws { try checks(setUp).outlives() }

    @Test("dropped with anything in flight, nobody uses the memory afterwards", arguments: setUps)
    func drops(_ setUp: SetUp) throws { try checks(setUp).drops() }

    @Test("dropped while helpers allocate, over and over", arguments: setUps)
    func dropsWhileAllocating(_ setUp: SetUp) throws { try checks(setUp).dropsWhileAllocating() }

    @Test(
        "neither deadline nor wake-up nor other requests wait for a write that does not end",
        .enabled(if: TestFileSystem.isRoot, rootOnly))
    func stuck() throws { try checks(Self.setUps[0]).goesOnBesideWhatIsStuck(label: "aio-stuck") }

    @Test(
        "what was not begun is cancelled, what was begun is not",
        .enabled(if: TestFileSystem.isRoot, rootOnly))
    func cancels() throws { try checks(Self.setUps[3]).cancels(label: "aio-cancel") }

    @Test(
        "dropped with a write that does not end, it waits for it",
        .enabled(if: TestFileSystem.isRoot, rootOnly))
    func dropsWithWhatIsStuck() throws {
        try checks(Self.setUps[0]).dropsWithWhatIsStuck(label: "aio-drop")
    }

    @Test(
        "a random mix leaves the file as the model says",
        .enabled(if: TestFileSystem.isRoot, rootOnly),
        arguments: TestFileSystem.available, [1, 2, 5, 16])
    func randomMix(_ name: String, depth: Int) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        var mix = try RandomMix(
            on: fileSystem, depth: depth, driver: try makeDriver(depth: depth))
        try mix.run(operations: 500)
    }

    @Test(
        "a random mix through a small context and without the ring",
        .enabled(if: TestFileSystem.isRoot, rootOnly), arguments: TestFileSystem.available)
    func randomMixThroughSmallContext(_ name: String) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        let configuration = AIOConfiguration(contextSize: 2, reapsInUserSpace: false)
        var mix = try RandomMix(
            on: fileSystem, depth: 16, driver: try makeDriver(depth: 16, configuration))
        try mix.run(operations: 500)
    }
}
