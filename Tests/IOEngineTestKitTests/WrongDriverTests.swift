import IOEngineCore
import IOEngineMock
import IOEngineTestKit
import TestSupport
import Testing

/// The contract checks itself: what is wrong is caught, by the rule that it breaks.
@Suite struct WrongDriverTests {
    func check(_ mistake: Mistake, rules: [ContractRule]) -> ContractReport {
        var configuration = SimulatedDisk.Configuration(seed: 5)
        configuration.removeLatency()
        let disk = SimulatedDisk(configuration)
        let shared = WrongState()
        return DriverContract.check(
            files: .simulated(disk), rules: rules, timeoutSeconds: 2
        ) { WrongDriver(disk, depth: $0, mistake, shared) }
    }

    @Test(arguments: Mistake.allCases)
    func isCaughtByTheRuleThatItBreaks(_ mistake: Mistake) throws {
        let report = check(mistake, rules: [mistake.checkedBy])
        let failure = try #require(report.failures.first, "nothing was found: \(report)")
        #expect(failure.rule == mistake.rule, "\(failure)")
        #expect(!failure.sentence.isEmpty && failure.description.contains(failure.rule.demand))
    }

    @Test func everyRuleHasAMistakeThatBreaksIt() {
        #expect(Set(Mistake.allCases.map(\.rule)) == Set(ContractRule.allCases))
    }

    @Test func aTraceShowsTheLastCalls() throws {
        let report = check(.completesTwice, rules: [.exactlyOnce])
        let failure = try #require(report.failures.first)
        #expect(failure.trace.contains("stage") && failure.trace.contains("reap"))
        #expect(failure.trace.split(separator: "\n").count <= 40)
        #expect(failure.again == "DriverContract.check(rules: [.exactlyOnce], seed: 1, effort: 1)")
        #expect(failure.description.hasSuffix("Again with: \(failure.again) { … }"))
        // It is the same failure that comes again.
        let again = try #require(check(.completesTwice, rules: [failure.checked]).failures.first)
        #expect(again.sentence == failure.sentence && again.trace == failure.trace)
        var told: [String] = []
        report.forEachFailure { told.append($0) }
        #expect(told.count == 1 && told[0].contains("exactlyOnce") && told[0].contains("seed 1"))
        #expect(!report.holds && report.description.contains("1 are broken"))
    }
}
