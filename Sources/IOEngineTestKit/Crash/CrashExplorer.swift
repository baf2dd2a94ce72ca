public import IOEngineMock

/// Crashes a workload at every point, recovers, and checks what is left.
///
/// ```swift
/// let report = CrashExplorer.run(seed: 1, operations: 20, model: Model()) {
///     disk, operations, model in
///     var store = try open(disk)
///     for operation in operations {
///         var random = operation.random
///         let change = draw(&random)
///         model.willSet(change)
///         try store.set(change)
///         model.didSet(change)
///     }
/// } recover: { disk, model in
///     let store = try open(disk)
///     try model.check(store)
/// }
/// ```
///
/// The workload runs once to be counted, then again for each point, up to a crash: its IO then fails,
/// and what it throws is of no importance. What it promised until then it keeps in the model, a value.
/// For each of several fates that the crash may have, `recover` gets a disk with what was left and a
/// copy of the model, and throws if something is wrong. Recoveries are crashed too; the recovery after
/// that gets the model as the crashed one left it.
///
/// Both must be deterministic: all chance from the operations' own random numbers, one thread.
/// A failure is made smaller: operations are left out, writes are let through, until what remains is
/// needed for it to fail.
public enum CrashExplorer {
    /// Which points a run is crashed at.
    public enum Points: Hashable, Sendable {
        /// After each step.
        case every
        /// After so many steps, drawn from the seed.
        case sample(Int)
    }

    /// - Parameters:
    ///   - seed: What all chance comes from.
    ///   - operations: How many operations the workload gets.
    ///   - points: Where it is crashed.
    ///   - fates: How many fates each crash is given.
    ///   - recoveryCrashes: How many times the recovery from each fate is crashed as well.
    ///   - disk: What the disk is like; its own seed is made from `seed`. Nil: as usual.
    ///   - shrinkingLimit: Cases tried at most to make a failure smaller.
    ///   - only: Repeats one case instead.
    ///   - model: What the workload starts with; a value.
    public static func run<Model>(
        seed: UInt64, operations: Int, points: Points = .every, fates: Int = 4,
        recoveryCrashes: Int = 1, disk: SimulatedDisk.Configuration? = nil,
        shrinkingLimit: Int = 20_000, only: CrashCase? = nil, model: Model,
        workload: (SimulatedDisk, [CrashOperation], inout Model) throws -> Void,
        recover: (SimulatedDisk, inout Model) throws -> Void
    ) -> CrashReport {
        var configuration = disk ?? SimulatedDisk.Configuration(seed: seed)
        configuration.seed = SimulationRandom.hash(seed, 0x6372_6173_68)
        // Every rerun keeps one, and only its end is ever shown.
        configuration.journalLimit = min(configuration.journalLimit, 10_000)
        return withoutActuallyEscaping(workload) { workload in
            withoutActuallyEscaping(recover) { recover in
                var exploration = CrashExploration(
                    seed: seed, configuration: configuration, fates: max(1, fates),
                    recoveryCrashes: max(0, recoveryCrashes), shrinkingLimit: shrinkingLimit,
                    model: model, workload: workload, recover: recover)
                if let only {
                    exploration.repeatCase(only)
                } else {
                    exploration.explore(Array(0..<max(0, operations)), points)
                }
                return exploration.report
            }
        }
    }
}

/// One operation of a workload, with random numbers of its own: they are the same whichever other
/// operations are left out.
public struct CrashOperation: Sendable {
    public let number: Int
    public let random: SimulationRandom
}
