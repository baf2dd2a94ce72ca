import Foundation
import Glibc
import IOEngineURing
import TestSupport
import Testing

/// The doctor under conditions that it must tell apart, each in a process of its own.
@Suite struct DoctorTests {
    @Test("every driver is tried, and what the kernel grants is told")
    func plain() throws {
        let diagnosis = try Diagnosis()
        #expect(diagnosis.status == 0)
        for name in ["uring", "aio", "threads"] { _ = try diagnosis.driver(name) }
        #expect(try diagnosis.driver("threads")["isGranted"] as? Bool == true)
        #expect(diagnosis.fields["path"] is NSNull)
        #expect(diagnosis.fields["error"] is NSNull)
        let system = try #require(diagnosis.object("system"))
        #expect(try #require(system["kernel"] as? String).contains("."))
        guard Machine.hasURing else {
            #expect(diagnosis.fields["uring"] is NSNull)
            print("skipped: what io_uring grants, because \(Machine.needsURing)")
            return
        }
        let report = try URingReport(depth: 32)
        let uring = try #require(diagnosis.object("uring"))
        #expect(uring["flags"] as? [String] == report.flags)
        #expect(uring["features"] as? [String] == report.features)
        #expect(uring["operations"] as? [String] == report.operations)
        #expect(report.operations.contains("READ") && report.operations.contains("FSYNC"))
        #expect(report.features.contains("EXT_ARG"), "the driver does not work without")
        #expect(report.submissionCapacity == 32 && report.completionCapacity >= 72)
    }

    @Test(
        "where a seccomp filter refuses drivers, it names filter and errno and takes the next",
        arguments: [ENOSYS, EPERM], ["uring", "both"])
    func refused(_ errno: Int32, _ what: String) throws {
        let diagnosis = try Diagnosis(before: [Command.helper, "run-refused", "\(errno)", what])
        #expect(diagnosis.status == 0, "a program gets a driver: \(diagnosis)")
        #expect(diagnosis.chosen == (what == "both" ? "threads" : "aio"))
        #expect(diagnosis.fields["uring"] is NSNull)
        for name in what == "both" ? ["uring", "aio"] : ["uring"] {
            let driver = try diagnosis.driver(name)
            #expect(driver["errno"] as? Int == Int(errno))
            #expect(try #require(driver["advice"] as? String).contains("seccomp profile"))
            let findings = try diagnosis.findings(name)
            #expect(findings.count == 1 && findings[0].hasPrefix("advice: "), "\(findings)")
        }
        #expect(diagnosis.object("system")?["hasSeccompFilter"] as? Bool == true)
    }

    @Test("a driver that is asked for and refused is a problem, and so is a word that is none")
    func environment() throws {
        let refused = try Diagnosis(before: [
            "env", "IOENGINE_DRIVER=uring", Command.helper, "run-refused", "\(EPERM)", "uring",
        ])
        #expect(refused.status == 1 && refused.chosen == nil)
        #expect(refused.fields["reason"] as? String == "environment")
        let findings = try refused.findings("uring")
        #expect(findings.first?.hasPrefix("problem: ") == true, "\(findings)")
        #expect(findings.first?.contains("IOENGINE_DRIVER=auto") == true, "\(findings)")

        let threads = try Diagnosis(before: ["env", "IOENGINE_DRIVER=threads"])
        #expect(threads.status == 0 && threads.chosen == "threads")

        let nonsense = try Diagnosis(before: ["env", "IOENGINE_DRIVER=best"])
        #expect(nonsense.status == 1 && nonsense.chosen == nil)
        #expect(try nonsense.findings("environment").first?.contains("'best'") == true)
    }

    @Test(
        "with a tiny RLIMIT_MEMLOCK it says so and what to raise; io_uring is chosen all the same",
        .enabled(
            if: Machine.hasURing && TestFileSystem.isRoot && Command.exists("setpriv"),
            "setpriv is needed to drop CAP_IPC_LOCK, root to have it, and io_uring"))
    func memoryLock() throws {
        let without = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]
        let limited = [Command.helper, "run-limited", "8", "65536"]
        let tiny = try Diagnosis(before: without + limited)
        #expect(tiny.status == 0 && tiny.chosen == "uring")
        #expect(tiny.object("uring")?["memoryErrno"] as? Int == Int(ENOMEM))
        let findings = try tiny.findings("memory")
        #expect(findings.count == 1 && findings[0].hasPrefix("advice: "), "\(findings)")
        #expect(findings.first?.contains("65536") == true, "\(findings)")
        #expect(findings.first?.contains("RLIMIT_MEMLOCK") == true, "\(findings)")

        // Whoever may ignore the limit needs no advice about it.
        let privileged = try Diagnosis(before: limited)
        #expect(privileged.object("system")?["ignoresMemoryLockLimit"] as? Bool == true)
        #expect(privileged.object("uring")?["memoryErrno"] is NSNull)
        #expect(try privileged.findings("memory").isEmpty)
    }

    @Test(
        "where no thread can be started it says so and what to raise",
        .enabled(
            if: TestFileSystem.isRoot && Command.exists("setpriv"),
            "setpriv and root are needed to become somebody else"))
    func noThreads() throws {
        // A leak check needs a thread at the end.
        let limited = try Diagnosis(
            before: ["env", Command.sanitizerOptions("detect_leaks=0")] + Command.asNobody
                + [Command.helper, "run-limited", "6", "1"])
        let findings = try limited.findings("threads")
        #expect(findings.count == 1 && findings[0].hasPrefix("advice: "), "\(findings)")
        #expect(findings.first?.contains("pids.max") == true, "\(findings)")
        #expect(try Diagnosis().findings("threads").isEmpty)
    }

    @Test("a result that cannot be written is no success", arguments: ["doctor", "bench"])
    func fullOutput(_ command: String) {
        let options = command == "bench" ? " --driver threads --runtime 0.02 --size 1m" : ""
        let end = Command.run([
            "sh", "-c",
            "cd \(TemporaryFolder.path) && \(Command.program("ioengine")) \(command)"
                + options + " > /dev/full",
        ])
        #expect(end.status == 1 && end.output.contains("standard output"), "\(end)")
    }

    @Test(
        "with fs.aio-max-nr used up by another process it names the sysctl",
        .enabled(if: AIOLimit.mayBeChanged, AIOLimit.whyNot))
    func exhausted() throws {
        let held = 40
        _ = try AIOLimit.changed(to: 1000) {
            let holder = Process()
            holder.executableURL = Executable.url("TestHelper")
            holder.arguments = ["hold-aio", "\(held)"]
            let (input, output) = (Foundation.Pipe(), Foundation.Pipe())
            holder.standardInput = input
            holder.standardOutput = output
            try holder.run()
            defer {
                try? input.fileHandleForWriting.close()
                holder.waitUntilExit()
            }
            let word = output.fileHandleForReading.availableData
            #expect(String(decoding: word, as: UTF8.self) == "ready\n")
            // Now the other process alone has all there is, whatever others give back meanwhile.
            #expect(AIOLimit.change(to: held))

            let diagnosis = try Diagnosis()
            #expect(diagnosis.status == 0)
            let aio = try diagnosis.driver("aio")
            #expect(aio["errno"] as? Int == Int(EAGAIN))
            #expect(try #require(aio["advice"] as? String).contains("fs.aio-max-nr"))
            #expect(diagnosis.object("system")?["aioLimit"] as? Int == held)

            let next = try Diagnosis(before: [Command.helper, "run-refused", "\(ENOSYS)", "uring"])
            #expect(next.chosen == "threads", "the last that is left")
            #expect(try next.findings("aio").first?.contains("fs.aio-max-nr") == true)
            #expect(try next.findings("uring").first?.contains("seccomp") == true)
        }
    }

    @Test(
        "where fs.aio-max-nr leaves too few for the depth, it works and says so",
        .enabled(if: AIOLimit.mayBeChanged, AIOLimit.whyNot))
    func scarce() throws {
        _ = try AIOLimit.changed(to: 10) {
            let diagnosis = try Diagnosis(["--iodepth", "64"])
            #expect(diagnosis.status == 0)
            #expect(try diagnosis.findings("aio").first?.contains("fs.aio-max-nr") == true)
        }
    }

    @Test("a process with few descriptors is told")
    func descriptors() throws {
        let diagnosis = try Diagnosis(before: [Command.helper, "run-limited", "7", "256"])
        #expect(try diagnosis.findings("descriptors").first?.contains("256") == true)
    }
}
