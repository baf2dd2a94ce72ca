import IOEngineCore
import IOEngineMock
import IOEngineTestKit
import StoreCrashes

enum CrashRun {
    /// Explores seed after seed until there were so many crashes. False: one was not recovered from.
    static func explore(_ wanted: Int) -> Bool {
        let start = IOInstant.monotonic()
        var crashes = 0
        var recoveries = 0
        var points = 0
        var seed: UInt64 = 0
        while crashes < wanted {
            seed += 1
            let report = StoreCrashes.explore(seed: seed, operations: 12, fates: 6) {
                $0.isOrdered = seed % 5 == 0
                $0.sectorSize = seed % 3 == 0 ? 4096 : 512
                $0.earlyWakeUps = seed % 2 == 0 ? 20 : 0
                $0.hasProtectedCache = seed % 7 == 0
            }
            if !report.holds {
                print("seed \(seed): \(report)")
                return false
            }
            crashes += report.crashes
            recoveries += report.recoveryCrashes
            points += report.points
        }
        let milliseconds = IOInstant.monotonic().nanoseconds(since: start) / 1_000_000
        print(
            "\(crashes) crashes at \(points) points, \(recoveries) of them of recoveries, "
                + "\(seed) seeds, \(milliseconds) ms")
        return true
    }
}
