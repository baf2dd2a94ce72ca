import Foundation
import Testing

/// The built tool, as a process.
@Suite(.enabled(if: Machine.hasURing, "\(Machine.needsURing)"))
struct ToolTests {
    private static let quick = ["bench", "--size", "1m", "--runtime", "0.02"]

    @Test func jsonHasItsFieldsAndNothingElse() throws {
        let directory = try Directory()
        let run = try Executable.run(
            "ioengine", Self.quick + ["--output-format", "json"], in: directory)
        #expect(run.status == 0, "\(run.complaint)")
        let object = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        let fields = try #require(object as? [String: Any])
        #expect(
            Set(fields.keys) == [
                "driver", "mode", "rw", "blockSizeBytes", "depth", "jobs", "fileState", "iops",
                "bytesPerSecond", "cpuMicrosPerIO", "systemCallsPerThousandIOs", "shortTransfers",
                "errors", "latencyNanoseconds",
            ])
        #expect(fields["driver"] as? String == "uring")
        #expect(fields["mode"] as? String == "loop")
        #expect(fields["rw"] as? String == "randread")
        #expect(fields["blockSizeBytes"] as? Int == 4096)
        #expect(fields["errors"] as? Int == 0)
        let latency = try #require(fields["latencyNanoseconds"] as? [String: Any])
        #expect(Set(latency.keys) == ["mean", "p50", "p90", "p99", "p999", "max"])
    }

    @Test func withoutAClockThereIsNoLatency() throws {
        let run = try Executable.run(
            "ioengine", Self.quick + ["--output-format", "json", "--gtod-reduce"],
            in: try Directory())
        let object = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        let fields = try #require(object as? [String: Any])
        #expect(fields["latencyNanoseconds"] is NSNull)
    }

    @Test func theTableSaysWhatWasMeasured() throws {
        let run = try Executable.run("ioengine", Self.quick + ["--direct"], in: try Directory())
        guard run.status == 0 else {
            // The only excuse: a temporary directory without direct IO.
            #expect(run.complaint.contains("direct IO"), "\(run.complaint)")
            return
        }
        #expect(run.output.contains("engine cost, not disk"))
        #expect(run.output.contains("set-up:"))
        #expect(run.complaint.isEmpty, "no live line where there is no terminal")
    }

    @Test(arguments: ["read", "write", "randread", "randwrite", "randrw"])
    func verifiesOnTheKernel(_ workload: String) throws {
        let state = workload.hasSuffix("read") ? ["--file-state", "written"] : []
        let run = try Executable.run(
            "ioengine",
            Self.quick + ["--rw", workload, "--verify", "--registered", "--numjobs", "2"] + state,
            in: try Directory())
        #expect(run.status == 0, "\(run.complaint)")
    }

    @Test(arguments: [
        [], ["--submitters", "1"], ["--submitters", "2", "--rw", "randrw"], ["--workers", "2"],
        ["--rw", "write"], ["--rw", "randrw", "--workers", "1", "--numjobs", "2"],
        ["--iodepth", "1", "--registered"],
        ["--iodepth", "3", "--submitters", "3", "--workers", "1"],
    ])
    func contextsAreMeasured(_ options: [String]) throws {
        let run = try Executable.run(
            "ioengine",
            // Long enough for an IO beside the other tests, too.
            Self.quick + ["--mode", "context", "--runtime", "0.3", "--output-format", "json"]
                + options,
            in: try Directory())
        #expect(run.status == 0, "\(run.complaint)")
        let object = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        let fields = try #require(object as? [String: Any])
        #expect(fields["mode"] as? String == "context" && fields["errors"] as? Int == 0)
        #expect(try #require(fields["iops"] as? Double) > 0)
        #expect(fields["latencyNanoseconds"] is [String: Any])
    }

    @Test(arguments: [
        (["--bs", "0"], "--bs"), (["--iodepth", "0"], "--iodepth"),
        (["--iodepth", "60000"], "depth"), (["--runtime", "-1"], "--runtime"),
        (["--bs", "2m"], "--bs"), (["--verify"], "--file-state"),
        (["--submitters", "1"], "--mode"), (["--workers", "-1", "--mode", "context"], "--workers"),
        (["--mode", "context", "--verify"], "--mode"),
    ])
    func refusesInASentence(_ arguments: [String], _ remedy: String) throws {
        let directory = try Directory()
        // The last of two options counts, and --opt=value also takes a negative number.
        let given = stride(from: 0, to: arguments.count, by: 2).map {
            arguments[$0..<min($0 + 2, arguments.count)].joined(separator: "=")
        }
        let run = try Executable.run("ioengine", Self.quick + given, in: directory)
        #expect(run.status == 1)
        #expect(run.output.isEmpty)
        #expect(run.complaint.contains(remedy), "\(run.complaint)")
        #expect(run.complaint.split(separator: "\n").count == 1, "\(run.complaint)")
        #expect(try directory.contents.isEmpty)
    }

    @Test func nonsenseIsAUsageError() throws {
        let run = try Executable.run("ioengine", ["bench", "--bs", "lots"], in: try Directory())
        #expect(run.status == 64)
    }

    @Test func anExistingFileIsSafe() throws {
        let directory = try Directory()
        try Data(repeating: 1, count: 1 << 20).write(to: URL(fileURLWithPath: directory.path("f")))
        let run = try Executable.run(
            "ioengine", Self.quick + [directory.path("f"), "--rw", "write"], in: directory)
        #expect(run.status == 1)
        #expect(run.complaint.contains("--overwrite"))
    }

    @Test func nothingIsLeftBehind() throws {
        let directory = try Directory()
        _ = try Executable.run("ioengine", Self.quick + ["--rw", "randwrite"], in: directory)
        #expect(try directory.contents.isEmpty)
    }

    @Test func nothingIsLeftBehindWhenItIsKilled() throws {
        let directory = try Directory()
        let (process, _, _) = try Executable.start(
            "ioengine", ["bench", "--size", "1m", "--runtime", "1000"], in: directory)
        let descriptors = "/proc/\(process.processIdentifier)/fd"
        // Until it has its file, which is then shown as deleted.
        var hasFile = false
        for _ in 0..<1_000_000 where !hasFile && process.isRunning {
            let open = (try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? []
            hasFile = open.contains {
                let target = try? FileManager.default.destinationOfSymbolicLink(
                    atPath: "\(descriptors)/\($0)")
                return target?.contains("ioengine-bench-") == true
            }
            sched_yield()
        }
        // The one that nobody can catch or block.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect(hasFile)
        #expect(process.terminationReason == .uncaughtSignal)
        #expect(try directory.contents.isEmpty)
    }
}
