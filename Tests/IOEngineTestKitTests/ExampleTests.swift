import Foundation
import IOEngineURing
import TestSupport
import Testing

/// The example that runs one store on two drivers.
@Suite struct ExampleTests {
    @Test func oneStoreRunsOnASimulatedDiskAndOnIOURing() throws {
        guard (try? URingDriver(depth: 1)) != nil else {
            return print("skipped: the example on io_uring, which this machine does not grant")
        }
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent("TwoDrivers").path
        let end = Command.run([program, TemporaryFolder.path])
        #expect(end.status == 0, "\(end)")
        let lines = end.output.split(separator: "\n")
        let values = "0=14 1=15 2=16 3=17 4=18 5=19 6=13 100=361"
        #expect(lines == ["simulated disk: \(values)", "io_uring:       \(values)"])
    }
}
