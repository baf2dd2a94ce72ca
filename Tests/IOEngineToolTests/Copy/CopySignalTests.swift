import Foundation
import TestSupport
import Testing

/// `ioengine copy`, interrupted, and looked at while it works.
@Suite(.enabled(if: Machine.hasURing, "\(Machine.needsURing)"))
struct CopySignalTests {
    private static let size = 32 << 20

    /// Slow, so that there is time for signals.
    private static let slowly = ["--bs", "512", "--iodepth", "1"]

    private func fixture(replaces: Bool) throws -> CopyFixture {
        var random = SeededRandom(seed: 3)
        let fixture = try CopyFixture()
        try Files.make(fixture.source, size: Self.size, using: &random)
        if replaces { try Files.write("old", to: fixture.destination) }
        return fixture
    }

    /// Waits until the copy, which has no name, has this many bytes. False: the process ended before.
    private func wait(for bytes: Int, of process: Process, in fixture: CopyFixture) -> Bool {
        let descriptors = "/proc/\(process.processIdentifier)/fd"
        while process.isRunning {
            let open = (try? FileManager.default.contentsOfDirectory(atPath: descriptors)) ?? []
            for number in open {
                let path = "\(descriptors)/\(number)"
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
                guard let target, target.hasPrefix(fixture.directory.url.path),
                    target.hasSuffix("(deleted)"), let status = try? Files.status(path)
                else { continue }
                if Int(status.st_blocks) * 512 >= bytes { return true }
            }
            sched_yield()
        }
        return false
    }

    private func expectOldOrNothing(_ fixture: CopyFixture, replaces: Bool) throws {
        #expect(try fixture.others == (replaces ? ["copy"] : []))
        if replaces { #expect(try Files.text(of: fixture.destination) == "old") }
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGKILL], [0, 1, 2 << 20])
    func aSignalLeavesNothing(_ signal: Int32, after bytes: Int) throws {
        for replaces in [false, true] {
            let fixture = try fixture(replaces: replaces)
            let (process, _, complaint) = try Executable.start(
                "ioengine", ["copy", fixture.source, fixture.destination] + Self.slowly,
                in: fixture.directory)
            let isCopying = wait(for: bytes, of: process, in: fixture)
            kill(process.processIdentifier, signal)
            process.waitUntilExit()
            #expect(isCopying)
            #expect(process.terminationReason == .uncaughtSignal)
            #expect(process.terminationStatus == signal)
            try expectOldOrNothing(fixture, replaces: replaces)
            let said = try complaint.fileHandleForReading.readToEnd() ?? Data()
            if signal != SIGKILL {
                #expect(String(decoding: said, as: UTF8.self).hasPrefix("Interrupted"))
            }
        }
    }

    /// At whatever moment it comes: the copy is there, or it is not.
    @Test func signalsAtRandomMoments() throws {
        var random = SeededRandom()
        let fixture = try fixture(replaces: false)
        var complete = 0
        for round in 0..<30 {
            let replaces = Bool.random(using: &random)
            try? FileManager.default.removeItem(atPath: fixture.destination)
            if replaces { try Files.write("old", to: fixture.destination) }
            let (process, _, _) = try Executable.start(
                "ioengine", ["copy", fixture.source, fixture.destination, "--bs", "64k"],
                in: fixture.directory)
            // The rest, which ends with the sync and the name, in calls, for want of a clock.
            let bytes = Int.random(in: 0...Self.size * 5 / 4, using: &random)
            if wait(for: min(bytes, Self.size), of: process, in: fixture), bytes > Self.size {
                for _ in 0..<Int.random(in: 0..<5000, using: &random) { sched_yield() }
            }
            kill(process.processIdentifier, SIGTERM)
            process.waitUntilExit()
            let note: Comment = "round \(round), \(random.note)"
            if Files.areEqual(fixture.source, fixture.destination) {
                complete += 1
                #expect(try fixture.others == ["copy"], note)
            } else {
                #expect(process.terminationReason == .uncaughtSignal, note)
                try expectOldOrNothing(fixture, replaces: replaces)
            }
        }
        print("of 30 interrupted copies \(complete) were complete")
    }

    @Test func anIgnoredSignalStaysIgnored() throws {
        let fixture = try fixture(replaces: false)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = [
            "-c", "trap '' HUP; exec \"$0\" copy --quiet \"$1\" \"$2\" --bs 512 --iodepth 1",
            Executable.url("ioengine").path, fixture.source, fixture.destination,
        ]
        try process.run()
        #expect(wait(for: 1, of: process, in: fixture))
        kill(process.processIdentifier, SIGHUP)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0)
        #expect(Files.areEqual(fixture.source, fixture.destination))
    }

    @Test func aTerminalShowsHowFarItIs() throws {
        let fixture = try fixture(replaces: false)
        let (controller, terminal) = try makeTerminal()
        defer { close(controller) }
        let process = Process()
        process.executableURL = Executable.url("ioengine")
        process.arguments = ["copy", fixture.source, fixture.destination] + Self.slowly
        process.standardError = FileHandle(fileDescriptor: terminal)
        let start = ContinuousClock.now
        try process.run()
        close(terminal)
        var shown: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while true {
            // EIO when nobody has the terminal any more.
            let count = unsafe read(controller, &part, part.count)
            if count <= 0 { break }
            shown += part[..<count]
        }
        process.waitUntilExit()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        #expect(process.terminationStatus == 0)
        let text = String(decoding: shown, as: UTF8.self)
        let lines = text.components(separatedBy: "\r\u{1b}[K").dropFirst()
        let summary = try #require(lines.last)
        #expect(summary.contains("durable"))
        let live = lines.dropLast().filter { !$0.isEmpty }
        #expect(Double(live.count) <= 4 * seconds)
        print("\(live.count) looks in \(seconds) s, the first: \(live.first ?? "none")")
        for line in live {
            #expect(line.contains("% of 32 MiB") || line.contains("durable"), "\(line)")
            #expect(line.contains("/s") || line.contains("durable"), "\(line)")
            #expect(line.count < 80)
        }
        if seconds > 1 { #expect(live.contains { $0.contains("left") }) }
    }

    /// A terminal and who sits in front of it.
    private func makeTerminal() throws -> (controller: Int32, terminal: Int32) {
        let controller = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        try #require(controller >= 0)
        // TIOCSPTLCK and TIOCGPTN, macros that Swift cannot import.
        var lock: Int32 = 0
        var number: Int32 = 0
        try #require(unsafe ioctl(controller, 0x4004_5431, &lock) == 0)
        try #require(unsafe ioctl(controller, 0x8004_5430, &number) == 0)
        let terminal = unsafe open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
        try #require(terminal >= 0)
        return (controller, terminal)
    }
}
