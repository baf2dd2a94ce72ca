import IOEngineCore
import IOEngineThreads
import TestSupport
import Testing

/// What every driver has to do.
@Suite struct ContractTests {
    static let rootOnly: Comment = "only root may mount and freeze file systems"

    private let checks = DriverChecks { try ThreadPoolDriver(depth: $0) }

    @Test("stage answers full at the depth, and takes again what was reaped")
    func room() throws { try checks.room() }

    @Test("every action answers as the system call does")
    func actions() throws { try checks.actions() }

    @Test("good, bad, good: the bad one fails, its neighbours do not")
    func badRequests() throws { try checks.badRequests() }

    @Test("more completions than the span holds stay for the next reap")
    func smallReaps() throws { try checks.smallReaps() }

    @Test("thousands of requests, each answered once", arguments: [1, 3, 16])
    func manyRounds(_ depth: Int) throws { try checks.manyRounds(depth: depth, rounds: 400) }

    @Test("threads that finish while the driver goes to sleep wake it")
    func hopsOneByOne() throws { try checks.hopsOneByOne(rounds: 2000) }

    @Test("a deadline ends a wait")
    func deadlines() throws { try checks.deadlines() }

    @Test("another thread ends a wait with nothing in flight, each time")
    func wakesFromAnotherThread() throws { try checks.wakesFromAnotherThread() }

    @Test("a wake-up that comes first ends the next wait at once; several become one")
    func wakesBefore() throws { try checks.wakesBefore() }

    @Test("with a full queue a wake-up finds its way", arguments: [1, 4])
    func wakesWhenFull(_ depth: Int) throws { try checks.wakesWhenFull(depth: depth) }

    @Test("no wake-up between looking and sleeping is lost")
    func losesNoWakeUp() throws { try checks.losesNoWakeUp(pushes: 20_000) }

    @Test("a waker outlives its driver")
    func outlives() throws { try checks.outlives() }

    @Test("dropped with anything in flight, nobody uses the memory afterwards")
    func drops() throws { try checks.drops() }

    @Test("dropped while allocating, over and over")
    func dropsWhileAllocating() throws { try checks.dropsWhileAllocating() }

    @Test(
        "neither deadline nor wake-up nor other requests wait for a write that does not end",
        .enabled(if: TestFileSystem.isRoot, rootOnly))
    func stuck() throws { try checks.goesOnBesideWhatIsStuck(label: "threads-stuck") }

    @Test(
        "what was not begun is cancelled, what was begun is not",
        .enabled(if: TestFileSystem.isRoot, rootOnly))
    func cancels() throws {
        let checks = DriverChecks {
            try ThreadPoolDriver(depth: $0, configuration: .init(threads: 1))
        }
        try checks.cancels(label: "threads-cancel")
    }

    @Test(
        "dropped with a write that does not end, it waits for it",
        .enabled(if: TestFileSystem.isRoot, rootOnly))
    func dropsWithWhatIsStuck() throws { try checks.dropsWithWhatIsStuck(label: "threads-drop") }

    @Test(
        "a random mix leaves the file as the model says",
        .enabled(if: TestFileSystem.isRoot, rootOnly),
        arguments: TestFileSystem.available, [1, 2, 5, 16])
    func randomMix(_ name: String, depth: Int) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        var mix = try RandomMix(
            on: fileSystem, depth: depth, driver: try ThreadPoolDriver(depth: depth))
        try mix.run(operations: 500)
    }
}
