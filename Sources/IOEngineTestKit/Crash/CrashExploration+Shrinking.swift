internal import IOEngineMock

extension CrashExploration {
    /// Makes a failing case smaller, as long as it goes on failing: fewer operations, an earlier crash,
    /// fewer losses.
    mutating func shrink(_ found: Found) -> Found {
        var start = found
        if found.failing.recoveryCrash != nil {
            // One crash is easier to understand than two.
            let asked = recoveryCrashes
            recoveryCrashes = 0
            if let simpler = firstFailure(found.failing.operations) {
                start = simpler
            } else {
                recoveryCrashes = asked
            }
        }
        return shrinkFates(shrinkOperations(start))
    }

    private var mayGoOn: Bool { report.shrinkingCases < shrinkingLimit }

    private mutating func shrinkOperations(_ found: Found) -> Found {
        var best = found
        // Half, a quarter … of the operations at once, then one at a time.
        var size = max(1, best.failing.operations.count / 2)
        while mayGoOn {
            var isSmaller = false
            var start = best.failing.operations.count - size
            while start >= 0, mayGoOn {
                var numbers = best.failing.operations
                numbers.removeSubrange(start..<start + size)
                if let smaller = firstFailure(numbers) {
                    best = smaller
                    isSmaller = true
                }
                start = min(start, best.failing.operations.count) - size
            }
            if size == 1, !isSmaller { break }
            if size > 1 { size /= 2 }
        }
        // The earliest point at which the same operations fail.
        if let earliest = firstFailure(best.failing.operations) { best = earliest }
        return best
    }

    /// The first point at which these operations fail.
    private mutating func firstFailure(_ numbers: [Int]) -> Found? {
        guard let steps = try? countSteps(numbers) else { return nil }
        for step in 0...steps + 1 where mayGoOn {
            report.shrinkingCases += fates * (1 + recoveryCrashes)
            if let found = tryPoint(numbers, step, counts: false) { return found }
        }
        return nil
    }

    private mutating func shrinkFates(_ found: Found) -> Found {
        var best = found
        // Nothing is lost that need not be, and what is torn is lost whole if that fails too.
        for place in best.failing.crash.fate.writes.indices {
            for fate in [CrashFate.Write.reached, .lost]
            where best.failing.crash.fate.writes[place] != .reached {
                var tried = best.failing
                tried.crash.fate.writes[place] = fate
                if tried != best.failing { keep(tried, &best) }
            }
        }
        for place in best.failing.crash.fate.growths.indices {
            for fate in [CrashFate.Growth.whole, .lost]
            where best.failing.crash.fate.growths[place] != .whole {
                var tried = best.failing
                tried.crash.fate.growths[place] = fate
                if tried != best.failing { keep(tried, &best) }
            }
        }
        return best
    }

    /// Takes a smaller case if it fails.
    private mutating func keep(_ tried: CrashCase, _ best: inout Found) {
        report.shrinkingCases += 1
        if let message = tryCase(tried) { best = Found(failing: tried, message: message) }
    }

    // MARK: Explaining

    mutating func explain(_ found: Found) {
        let failing = found.failing
        let run = run(failing.operations, crashAfter: failing.crash.step)
        let numbers = failing.operations.map { "\($0)" }.joined(separator: ", ")
        var lines = [
            "It takes the operations [\(numbers)] "
                + "and a crash after step \(failing.crash.step). The last steps before it:"
        ]
        for entry in run.disk.journal.suffix(13).dropLast() { lines.append("  \(entry)") }
        lines.append("What was not safe then, and what became of it:")
        lines += Self.explain(run.crash, failing.crash.fate)
        if let recoveryCrash = failing.recoveryCrash {
            lines.append("The recovery crashed too, after its step \(recoveryCrash.step):")
            let disk = run.crash.restart(failing.crash.fate)
            disk.crash(afterStep: recoveryCrash.step)
            _ = check(disk, run.model)
            lines += Self.explain(disk.crash(), recoveryCrash.fate)
        }
        report.failure = .init(
            smallest: failing, message: found.message,
            explanation: lines.joined(separator: "\n"))
    }

    private static func explain(_ crash: SimulatedCrash, _ fate: CrashFate) -> [String] {
        var lines: [String] = []
        for (write, fate) in zip(crash.writes, fate.writes) {
            let outcome =
                switch fate {
                case .reached: "reached the disk"
                case .lost: "LOST"
                case .torn: "TORN"
                }
            lines.append("  \(outcome): \(write)")
        }
        for (growth, fate) in zip(crash.growths, fate.growths) {
            let outcome =
                switch fate {
                case .whole: "reached the disk"
                case .lost: "LOST"
                case .partly: "IN PART"
                }
            lines.append("  \(outcome): \(growth)")
        }
        return lines.isEmpty ? ["  nothing: everything was safe"] : lines
    }
}
