import Foundation
import IOEngineCore
import TestSupport
import Testing

/// The same seed, the same run, to the byte: in this process and outside, twice, in each build.
@Suite struct DeterminismTests {
    static let helper = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("SimulationHelper").path

    /// Two processes: Swift's hashing has another seed in each.
    @Test func twoProcessesDoTheSame() {
        let first = Command.run([Self.helper, "digests"])
        let second = Command.run([Self.helper, "digests"])
        #expect(first.status == 0 && first.output == second.output)
        #expect(Set(first.output.split(separator: "\n")).count == 8)
    }

    /// A release build, where its place is given: .ci/run does.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["IOENGINE_RELEASE_SIMULATION"] != nil,
            "IOENGINE_RELEASE_SIMULATION, the path of a release build, is not set"))
    func aReleaseBuildDoesTheSame() throws {
        let path = try #require(
            ProcessInfo.processInfo.environment["IOENGINE_RELEASE_SIMULATION"])
        let debug = Command.run([Self.helper, "digests"])
        let release = Command.run([path, "digests"])
        #expect(release.status == 0 && debug.output == release.output)
    }

    /// As above; a million simulated reads and writes in under 5 seconds of CPU time.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["IOENGINE_RELEASE_SIMULATION"] != nil,
            "IOENGINE_RELEASE_SIMULATION, the path of a release build, is not set"))
    func aMillionTakesLessThanFiveSeconds() throws {
        let path = try #require(
            ProcessInfo.processInfo.environment["IOENGINE_RELEASE_SIMULATION"])
        let speed = Command.run([path, "speed", "1000000"])
        let milliseconds = try #require(
            Int(speed.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(milliseconds < 5000)
        print("a million simulated IOs: \(milliseconds) ms of CPU time")
    }

    /// As above; a day of a disk that takes 100 ms for everything, in under 5 seconds of CPU time.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["IOENGINE_RELEASE_SIMULATION"] != nil,
            "IOENGINE_RELEASE_SIMULATION, the path of a release build, is not set"))
    func aDayOfASlowDiskTakesLessThanFiveSeconds() throws {
        let path = try #require(
            ProcessInfo.processInfo.environment["IOENGINE_RELEASE_SIMULATION"])
        let day = Command.run([path, "day"])
        let milliseconds = try #require(
            Int(day.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        #expect(milliseconds < 5000)
        print("a day of a slow disk: \(milliseconds) ms of CPU time")
    }
}
