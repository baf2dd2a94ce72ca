import Foundation
import IOEngineCore
import IOEngineMock
import IOEngineTestKit
import KeyValueStore
import StoreCrashes
import TestSupport
import Testing

/// The crash explorer, on the store of the examples.
@Suite struct CrashTests {
    /// Crashes to be explored; 100,000 and more in a long run.
    static let wanted =
        ProcessInfo.processInfo.environment["IOENGINE_CRASHES"].flatMap(Int.init)
        ?? 2_000

    @Test func aRightStoreSurvivesEveryCrash() {
        var crashes = 0
        var recoveries = 0
        var seed: UInt64 = 0
        while crashes < Self.wanted {
            seed += 1
            let report = StoreCrashes.explore(seed: seed) {
                $0.isOrdered = seed % 5 == 0
                $0.sectorSize = seed % 3 == 0 ? 4096 : 512
                $0.earlyWakeUps = seed % 2 == 0 ? 20 : 0
            }
            report.forEachFailure { Issue.record("seed \(seed): \($0)") }
            if !report.holds { return }
            crashes += report.crashes
            recoveries += report.recoveryCrashes
        }
        print("\(crashes) crashes, \(recoveries) of them of recoveries, with \(seed) seeds")
    }

    @Test(arguments: [SkippedSync.ofLog, .ofTable])
    func aMissingSyncIsFoundShrunkAndExplained(_ skipped: SkippedSync) throws {
        let report = StoreCrashes.explore(
            seed: 3, operations: 30, points: .sample(60), skipping: skipped)
        let failure = try #require(report.failure)
        let smallest = try #require(failure.smallest)
        #expect(smallest.operations.count == 1, "\(failure)")
        #expect(smallest.recoveryCrash == nil, "\(failure)")
        #expect(failure.message.contains("key"))
        #expect(failure.explanation.contains("LOST"))
        #expect(failure.explanation.contains(skipped == .ofLog ? "of log" : "of table"))
        #expect(report.shrinkingCases > 0 && report.shrinkingCases <= 20_100)
        // The line that it prints repeats it.
        let read: CrashCase = try #require(CrashCase(smallest.description))
        let again = StoreCrashes.explore(seed: 3, skipping: skipped, only: read)
        #expect(again.failure?.message == failure.message)
        // With the sync in place the same exploration finds nothing.
        #expect(StoreCrashes.explore(seed: 3, operations: 30, points: .sample(60)).holds)
        print("skipping the sync \(skipped): \(failure)")
    }

    @Test func aWorkloadThatFailsByItselfIsTold() {
        struct Mine: Error {}
        let report = CrashExplorer.run(seed: 1, operations: 3, model: 0) { _, _, _ in
            throw Mine()
        } recover: { _, _ in
        }
        #expect(report.failure?.message.contains("Mine") == true)
        #expect(report.failure?.description.contains("CrashExplorer.run(seed: 1, …)") == true)
        #expect(report.failure?.smallest == nil)
    }

    @Test func exploringIsRepeatable() {
        let first = StoreCrashes.explore(seed: 9, operations: 5, skipping: .ofLog)
        let second = StoreCrashes.explore(seed: 9, operations: 5, skipping: .ofLog)
        #expect(first.description == second.description && !first.holds)
    }

    @Test func pointsCanBeSampled() {
        let all = StoreCrashes.explore(seed: 4, operations: 3, fates: 1)
        #expect(all.holds && all.points == all.steps + 2 && all.crashes == 2 * all.points)
        let some = StoreCrashes.explore(seed: 4, operations: 3, points: .sample(5), fates: 1)
        #expect(some.holds && some.points == 5 && some.steps == all.steps)
    }

    @Test func aCaseIsText() throws {
        for text in ["7:0,1,5:12:+-~9./+", "7:3:12:-/:4:+/-", "1::0:/"] {
            let read = try #require(CrashCase(text))
            #expect(read.description == text)
        }
        for bad in ["", "7", "7:a:1:+/", "7:1:x:+/", "7:1:1:y", "7:1:1:+/:2"] {
            #expect(CrashCase(bad) == nil, "\(bad)")
        }
    }
}
