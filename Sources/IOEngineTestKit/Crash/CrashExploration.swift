internal import IOEngineMock

/// A search for a crash that is not recovered from.
struct CrashExploration<Model> {
    let seed: UInt64
    let configuration: SimulatedDisk.Configuration
    let fates: Int
    var recoveryCrashes: Int
    let shrinkingLimit: Int
    let model: Model
    let workload: (SimulatedDisk, [CrashOperation], inout Model) throws -> Void
    let recover: (SimulatedDisk, inout Model) throws -> Void
    var report = CrashReport()

    /// A case that fails, and how.
    struct Found {
        var failing: CrashCase
        var message: String
    }

    /// A run of the workload up to a crash.
    struct Run {
        var disk: SimulatedDisk
        var crash: SimulatedCrash
        var model: Model
    }

    // MARK: Running

    func operations(_ numbers: [Int]) -> [CrashOperation] {
        numbers.map {
            CrashOperation(
                number: $0,
                random: SimulationRandom(seed: SimulationRandom.hash(seed, UInt64($0))))
        }
    }

    /// Steps of the whole workload; throws what it throws.
    func countSteps(_ numbers: [Int]) throws -> Int {
        let disk = SimulatedDisk(configuration)
        var model = self.model
        try workload(disk, operations(numbers), &model)
        return disk.steps
    }

    /// Runs the workload until it crashes after a step, or at its end if that comes first.
    func run(_ numbers: [Int], crashAfter step: Int) -> Run {
        let disk = SimulatedDisk(configuration)
        disk.crash(afterStep: step)
        var model = self.model
        // What it throws follows from the crash.
        try? workload(disk, operations(numbers), &model)
        return Run(disk: disk, crash: disk.crash(), model: model)
    }

    /// Recovers from a copy of the model. Nil: all is well; else what was thrown.
    func check(_ disk: SimulatedDisk, _ model: Model) -> String? {
        var model = model
        return check(disk, &model)
    }

    func check(_ disk: SimulatedDisk, _ model: inout Model) -> String? {
        do {
            try recover(disk, &model)
            return nil
        } catch {
            return "\(error)"
        }
    }

    // MARK: Exploring

    mutating func explore(_ numbers: [Int], _ points: CrashExplorer.Points) {
        do {
            report.steps = try countSteps(numbers)
        } catch {
            report.failure = .init(
                smallest: nil, message: "the workload failed without a crash: \(error)",
                explanation: "It threw before anything was crashed. "
                    + "Again with: CrashExplorer.run(seed: \(seed), …)")
            return
        }
        for step in choose(points) {
            report.points += 1
            if let found = tryPoint(numbers, step, counts: true) {
                return explain(shrink(found))
            }
        }
    }

    private func choose(_ points: CrashExplorer.Points) -> [Int] {
        // The last is the end of the workload, when all of it is acknowledged.
        let all = Array(0...report.steps + 1)
        guard case .sample(let count) = points, count < all.count else { return all }
        var random = SimulationRandom(seed: SimulationRandom.hash(seed, 0x706f_696e_74))
        var drawn = all
        random.shuffle(&drawn)
        return drawn.prefix(max(0, count)).sorted()
    }

    /// Crashes after a step, and recovers from several fates of that.
    mutating func tryPoint(_ numbers: [Int], _ step: Int, counts: Bool) -> Found? {
        let run = run(numbers, crashAfter: step)
        for number in 0..<UInt64(fates) {
            let fate = run.crash.drawFate(seed: number)
            let disk = run.crash.restart(fate)
            let crash = CrashCase.Crash(step: step, fate: fate)
            if counts { report.crashes += 1 }
            if let message = check(disk, run.model) {
                return Found(
                    failing: CrashCase(seed: seed, operations: numbers, crash: crash),
                    message: message)
            }
            if let found = tryRecoveries(numbers, run, crash, number, steps: disk.steps, counts) {
                return found
            }
        }
        return nil
    }

    /// Crashes the recovery from a fate as well.
    private mutating func tryRecoveries(
        _ numbers: [Int], _ run: Run, _ crash: CrashCase.Crash, _ fate: UInt64, steps: Int,
        _ counts: Bool
    ) -> Found? {
        var random = SimulationRandom(
            seed: SimulationRandom.hash(seed, UInt64(crash.step) << 20 | fate))
        for number in 0..<UInt64(recoveryCrashes) where steps > 0 {
            let disk = run.crash.restart(crash.fate)
            let step = random.below(steps)
            disk.crash(afterStep: step)
            var model = run.model
            _ = check(disk, &model)
            let second = disk.crash()
            let secondFate = second.drawFate(seed: number)
            if counts {
                report.crashes += 1
                report.recoveryCrashes += 1
            }
            if let message = check(second.restart(secondFate), model) {
                return Found(
                    failing: CrashCase(
                        seed: seed, operations: numbers, crash: crash,
                        recoveryCrash: .init(step: step, fate: secondFate)),
                    message: message)
            }
        }
        return nil
    }

    /// Repeats one case. Nil: it does not fail, or its fates are those of another run.
    func tryCase(_ tried: CrashCase) -> String? {
        let run = run(tried.operations, crashAfter: tried.crash.step)
        guard run.crash.fits(tried.crash.fate) else { return nil }
        let disk = run.crash.restart(tried.crash.fate)
        guard let recoveryCrash = tried.recoveryCrash else { return check(disk, run.model) }
        disk.crash(afterStep: recoveryCrash.step)
        var model = run.model
        _ = check(disk, &model)
        let second = disk.crash()
        guard second.fits(recoveryCrash.fate) else { return nil }
        return check(second.restart(recoveryCrash.fate), model)
    }

    mutating func repeatCase(_ tried: CrashCase) {
        report.points = 1
        report.crashes = tried.recoveryCrash == nil ? 1 : 2
        report.recoveryCrashes = report.crashes - 1
        if tried.seed != seed {
            report.failure = .init(
                smallest: tried, message: "the case is of seed \(tried.seed), not \(seed)",
                explanation: "Give that seed to run.")
            return
        }
        if let message = tryCase(tried) { explain(Found(failing: tried, message: message)) }
    }
}

extension SimulatedCrash {
    /// Whether a fate is one of this crash.
    func fits(_ fate: CrashFate) -> Bool {
        fate.writes.count == writes.count && fate.growths.count == growths.count
    }
}
