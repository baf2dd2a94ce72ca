/// What became of checking a driver.
public struct ContractReport: Sendable, CustomStringConvertible {
    /// A rule that was broken.
    public struct Failure: Sendable, CustomStringConvertible {
        public let rule: ContractRule
        /// The rule whose check found it; mostly the same.
        public let checked: ContractRule
        /// What happened, in a sentence.
        public let sentence: String
        /// The calls that led there, the last ones, one a line.
        public let trace: String
        /// What chance came from.
        public let seed: UInt64
        /// How much random work was done.
        public let effort: Int

        /// The call that checks this again and nothing else.
        public var again: String {
            "DriverContract.check(rules: [.\(checked.rawValue)], seed: \(seed), effort: \(effort))"
        }

        public var description: String {
            "\(rule.rawValue): \(rule.demand). But \(sentence) (seed \(seed)). The last calls:\n"
                + (trace.isEmpty ? "  none" : trace) + "\nAgain with: \(again) { … }"
        }
    }

    /// A rule that could not be checked here.
    public struct Skip: Sendable, CustomStringConvertible {
        public let rule: ContractRule
        public let reason: String
        public var description: String { "\(rule.rawValue) was not checked: \(reason)" }
    }

    /// The driver's name for itself; empty if none could be made.
    public internal(set) var driver = ""
    public internal(set) var passed: [ContractRule] = []
    public internal(set) var failures: [Failure] = []
    public internal(set) var skips: [Skip] = []

    /// Whether no rule was broken.
    public var holds: Bool { failures.isEmpty }

    /// Calls `record` with a text for each failure: the adaptor to test frameworks.
    ///
    /// ```swift
    /// DriverContract.check { try MyDriver(depth: $0) }
    ///     .forEachFailure { Issue.record("\($0)") }   // Swift Testing
    /// DriverContract.check { try MyDriver(depth: $0) }
    ///     .forEachFailure { XCTFail($0) }             // XCTest
    /// ```
    public func forEachFailure(_ record: (String) -> Void) {
        for failure in failures { record("\(driver): \(failure)") }
    }

    public var description: String {
        var lines = [
            "\(driver): \(passed.count) rules hold, \(failures.count) are broken, "
                + "\(skips.count) were not checked"
        ]
        lines += failures.map(\.description)
        lines += skips.map(\.description)
        return lines.joined(separator: "\n")
    }
}

/// How a check ends when it does not simply pass.
enum ContractEnd: Error {
    case broken(ContractRule, String)
    case skipped(String)
}

/// Ends a check unless something holds.
func demand(
    _ rule: ContractRule, _ condition: Bool, _ sentence: @autoclosure () -> String
) throws {
    if !condition { throw ContractEnd.broken(rule, sentence()) }
}
