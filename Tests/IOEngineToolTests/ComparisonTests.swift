import Foundation
import Glibc
import IOEngine
import IOEngineBench
import SystemPackage
import TestSupport
import Testing

@testable import ioengine

/// `ioengine bench --driver all`.
@Suite struct ComparisonTests {
    private static let quick = [
        "bench", "--driver", "all", "--size", "1m", "--runtime", "0.02", "--iodepth", "4",
    ]

    private static func rows(_ text: String) throws -> [[String: Any]] {
        let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
        return try #require(object as? [[String: Any]], "\(text)")
    }

    @Test("a row for each driver, best first, all of the same fields")
    func json() throws {
        let run = try Executable.run(
            "ioengine", Self.quick + ["--output-format", "json"], in: try Directory())
        #expect(run.status == 0, "\(run.complaint)")
        let rows = try Self.rows(run.output)
        #expect(rows.map { $0["driver"] as? String } == ["uring", "aio", "threads"])
        let measured = rows.filter { $0["refused"] == nil }
        #expect(Set(measured.map { Set($0.keys) }).count == 1)
        #expect(
            measured.allSatisfy { ($0["iops"] as? Double ?? 0) > 0 && $0["errors"] as? Int == 0 })
    }

    @Test("one table, whose rows have the same columns")
    func table() throws {
        let run = try Executable.run(
            "ioengine", Self.quick + ["--gtod-reduce"], in: try Directory())
        #expect(run.status == 0, "\(run.complaint)")
        let lines = run.output.split(separator: "\n")
        #expect(lines.filter { $0.hasPrefix("driver ") }.count == 1)
        let rows = lines.filter { $0.contains(" loop ") }
        #expect(rows.last?.hasPrefix("threads") == true)
        #expect(rows.count == (run.output.contains("left out") ? 2 : 3), "\(run.output)")
        #expect(Set(rows.map(\.count)).count == 1, "aligned: \(run.output)")
    }

    @Test("a driver that is refused is a row that says why, and the others are measured")
    func refused() throws {
        let tool = [Executable.url("ioengine").path] + Self.quick
        let refusing = [Command.helper, "run-refused", "\(EPERM)", "both", "env", "-C"]
        let directory = try Directory()
        let json = Command.run(
            refusing + [directory.url.path, "sh", "-c", "exec \"$@\" 2>/dev/null", "sh"] + tool
                + ["--output-format", "json"])
        #expect(json.status == 0, "\(json)")
        let rows = try Self.rows(json.output)
        #expect(rows.map { $0["driver"] as? String } == ["uring", "aio", "threads"])
        for row in rows.prefix(2) {
            let refusal = try #require(row["refused"] as? [String: Any])
            #expect(refusal["errno"] as? Int == Int(EPERM))
            #expect(try #require(refusal["advice"] as? String).contains("seccomp"))
        }
        #expect(rows.last?["iops"] is Double)
        let table = Command.run(refusing + [directory.url.path] + tool)
        #expect(table.status == 0 && table.output.contains("uring is left out: "), "\(table)")
    }

    @Test("many jobs on few processors do no more than these can")
    func manyJobs() throws {
        var plan = BenchPlan()
        plan.size = 1 << 20
        plan.runtimeSeconds = 0.02
        plan.jobs = 64
        plan.gtodReduce = true
        plan.path = TemporaryFolder.newPath("many")
        let report = try BenchRunner.run(plan) { depth throws(IOError) in
            try ThreadPoolDriver(depth: depth)
        }
        let processors = report.iops * report.cpuMicrosPerIO / 1e6
        let most = Double(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        // The CPU time is that of the whole process, other tests included, hence the 4.
        #expect(processors <= 4 * most, "\(processors) processors")
    }

    @Test("a driver that cannot be set up after all is a row, too, and what was measured stays")
    func refusedLate() throws {
        var plan = BenchPlan()
        plan.size = 1 << 20
        plan.runtimeSeconds = 0.02
        plan.path = TemporaryFolder.newPath("late")
        let refusal = IOError(operation: .setUp, errno: .resourceTemporarilyUnavailable)
        let comparison = try BenchComparison.run(plan) { driver, plan in
            if driver == .aio { throw BenchError(refusal) }
            return try BenchRunner.run(plan) { depth throws(IOError) in
                try ThreadPoolDriver(depth: depth)
            }
        }
        #expect(comparison.rows.count == 3)
        let late = comparison.refusals.filter { $0.driver == .aio }
        #expect(late.map { $0.error?.errno } == [.resourceTemporarilyUnavailable])
        let said = comparison.notes.contains { $0.hasPrefix("aio is left out: ") }
        #expect(said)
        #expect(throws: BenchError("no")) {
            _ = try BenchComparison.run(plan) { _, _ in throw BenchError("no") }
        }
    }

    @Test("a new path is written to by each driver in the same state, and kept")
    func newPath() throws {
        let directory = try Directory()
        let run = try Executable.run(
            "ioengine",
            Self.quick + ["file", "--rw", "randwrite", "--output-format", "json"], in: directory)
        #expect(run.status == 0, "\(run.complaint)")
        let measured = try Self.rows(run.output).filter { $0["refused"] == nil }
        #expect(Set(measured.map { $0["fileState"] as? String }).count == 1, "\(run.output)")
        #expect(try directory.contents == ["file"])
        let again = try Executable.run(
            "ioengine", Self.quick + ["file", "--rw", "randwrite"], in: directory)
        #expect(again.status != 0 && again.complaint.contains("--overwrite"))
        #expect(try directory.contents == ["file"])
    }

    @Test(
        "on tmpfs, io_uring's row comes with advice",
        .enabled(
            if: Machine.hasURing && TestFileSystem.available.contains("tmpfs"),
            "needs io_uring and a tmpfs"))
    func advice() throws {
        let system = try #require(TestFileSystem.tmpfs)
        let options = ["bench", "--size", "1m", "--runtime", "0.02"]
        let memory = try Directory(in: system.path)
        let uring = try Executable.run("ioengine", options, in: memory)
        #expect(uring.output.contains("note:     this file system keeps its data in memory"))
        let threads = try Executable.run("ioengine", options + ["--driver", "threads"], in: memory)
        #expect(threads.status == 0 && !threads.output.contains("kernel workers"))
    }
}
