import Foundation
import IOEngineCopy
import TestSupport
import Testing

/// `ioengine copy`, as a process.
@Suite(.enabled(if: Machine.hasURing, "\(Machine.needsURing)"))
struct CopyToolTests {
    /// How much is copied by default; 1024 for the whole gigabyte.
    private static let megabytes =
        ProcessInfo.processInfo.environment["IOENGINE_COPY_MEGABYTES"].flatMap { Int($0) } ?? 64

    private func copy(_ fixture: CopyFixture, _ options: [String] = []) throws -> Finished {
        try Executable.run(
            "ioengine", ["copy", fixture.source, fixture.destination] + options,
            in: fixture.directory)
    }

    @Test(arguments: [[], ["--direct"], ["--bs", "48k", "--iodepth", "3"]])
    func aLargeFileOfRandomBytes(_ options: [String]) throws {
        var random = SeededRandom()
        let fixture = try CopyFixture()
        // A size that is a multiple of nothing.
        try Files.make(fixture.source, size: Self.megabytes << 20 | 1237, using: &random)
        let run = try copy(fixture, options)
        #expect(run.status == 0, "\(run.complaint)")
        #expect(run.output.isEmpty)
        #expect(Files.areEqual(fixture.source, fixture.destination), "\(random.note)")
        #expect(try Files.permissions(fixture.destination) == Files.permissions(fixture.source))
        #expect(try fixture.others == ["copy"])
        // One line, and no live one where there is no terminal.
        let lines = run.complaint.split(separator: "\n")
        #expect(lines.count == 1 && !run.complaint.contains("\u{1b}"))
        for word in ["copy: ", "iB", " s, ", "/s", "durable"] {
            #expect(run.complaint.contains(word), "\(run.complaint)")
        }
    }

    @Test func aSparseFileOfOneTerabyte() throws {
        var random = SeededRandom()
        let fixture = try CopyFixture()
        try Files.make(
            fixture.source, size: 1 << 40, data: [1 << 30..<(1 << 30) + 70_000], using: &random)
        let run = try copy(fixture)
        #expect(run.status == 0, "\(run.complaint)")
        #expect(run.complaint.contains("1.0 TiB"))
        #expect(run.complaint.contains("holes"))
        let status = try Files.status(fixture.destination)
        #expect(status.st_size == 1 << 40)
        #expect(status.st_blocks < 1000)
        let data = try Files.data(of: fixture.destination)
        #expect(data == (try Files.data(of: fixture.source)))
    }

    @Test func anEmptyFile() throws {
        let fixture = try CopyFixture()
        try Files.write("", to: fixture.source)
        for options in [[], ["--direct"]] {
            let run = try copy(fixture, options)
            #expect(run.status == 0, "\(run.complaint)")
            #expect(try Files.status(fixture.destination).st_size == 0)
        }
    }

    @Test func quietSaysNothing() throws {
        let fixture = try CopyFixture()
        try Files.write("text", to: fixture.source)
        let run = try copy(fixture, ["--quiet"])
        #expect(run.status == 0 && run.complaint.isEmpty && run.output.isEmpty)
        let failed = try copy(fixture, ["-q", "--no-clobber"])
        #expect(failed.status == 1 && failed.complaint.contains("exists"))
    }

    @Test(arguments: [
        ["--bs", "0"], ["--iodepth", "0"], ["--iodepth", "60000"], ["--no-clobber"],
    ])
    func refusesInASentence(_ options: [String]) throws {
        var random = SeededRandom()
        let fixture = try CopyFixture()
        // With a block for each place of the queue.
        try Files.make(fixture.source, size: 1 << 40, data: [], using: &random)
        try Files.write("old", to: fixture.destination)
        let run = try copy(fixture, options)
        #expect(run.status == 1)
        #expect(run.complaint.hasPrefix("Error: "))
        #expect(run.complaint.split(separator: "\n").count == 1, "\(run.complaint)")
        #expect(try Files.text(of: fixture.destination) == "old")
        #expect(try fixture.others == ["copy"])
    }

    @Test func nonsenseIsAUsageError() throws {
        let fixture = try CopyFixture()
        try Files.write("text", to: fixture.source)
        for options in [["--bs", "lots"], ["-n", "-f"], ["one more"]] {
            #expect(try copy(fixture, options).status == 64)
        }
        #expect(try fixture.others.isEmpty)
    }

    @Test(
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: [[], ["--direct"]])
    func aFullDestination(_ options: [String]) throws {
        let small = try #require(
            TestFileSystem.small(megabytes: 4, label: "copy-full\(options.count)"))
        var random = SeededRandom()
        var fixture = try CopyFixture()
        try Files.make(fixture.source, size: 8 << 20, using: &random)
        fixture.plan.destination = small.path + "/copy"
        for old in [nil, "old"] {
            if let old { try Files.write(old, to: fixture.destination) }
            let before = try FileManager.default.contentsOfDirectory(atPath: small.path)
            let run = try copy(fixture, options)
            #expect(run.status == 1)
            #expect(run.complaint.contains("is full"), "\(run.complaint)")
            #expect(run.complaint.contains(fixture.destination))
            #expect(try FileManager.default.contentsOfDirectory(atPath: small.path) == before)
            if let old { #expect(try Files.text(of: fixture.destination) == old) }
            // Nor is the space gone.
            var space = statvfs()
            try #require(unsafe statvfs(small.path, &space) == 0)
            #expect(space.f_blocks - space.f_bfree <= 1)
        }
        try Files.make(fixture.source, size: 3 << 20, using: &random)
        #expect(try copy(fixture, options).status == 0)
        #expect(Files.areEqual(fixture.source, fixture.destination))
    }

    @Test(.enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
    func aDeviceThatFailsInTheEnd() throws {
        // The writes fit into the page cache, writing them back fails.
        let fileSystem = try #require(TestFileSystem.overcommitted(label: "copy-overcommitted"))
        var random = SeededRandom()
        var fixture = try CopyFixture()
        try Files.make(fixture.source, size: 48 << 20, using: &random)
        fixture.plan.destination = fileSystem.path + "/copy"
        let run = try copy(fixture)
        #expect(run.status == 1)
        #expect(run.complaint.contains("durable"), "\(run.complaint)")
        let left = try FileManager.default.contentsOfDirectory(atPath: fileSystem.path)
        #expect(left.filter { $0 != "lost+found" }.isEmpty)
    }

    @Test(.enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
    func aReadOnlyFileSystem() throws {
        let small = try #require(TestFileSystem.small(megabytes: 1, label: "copy-read-only"))
        var fixture = try CopyFixture()
        try Files.write("new", to: fixture.source)
        fixture.plan.destination = small.path + "/old"
        try Files.write("old", to: fixture.destination)
        try #require(Command.run(["mount", "-o", "remount,ro", small.path]).status == 0)
        for name in ["/old", "/new"] {
            fixture.plan.destination = small.path + name
            let run = try copy(fixture)
            #expect(run.status == 1)
            #expect(run.complaint.contains("mounted read-only"), "\(run.complaint)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: small.path) == ["old"])
    }

    /// What only other users than root are refused.
    @Test(.enabled(if: TestFileSystem.isRoot, "only root may become somebody else"))
    func permissionsAreRespected() throws {
        let fixture = try CopyFixture()
        unsafe chmod(fixture.directory.url.path, 0o777)
        let tool = Executable.url("ioengine").path
        func asNobody(_ arguments: [String]) -> Command.End {
            Command.run(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", tool, "copy"]
                    + arguments)
        }
        guard asNobody(["--help"]).status == 0 else {
            print("skipped: permissions of others: \(asNobody(["--help"]))")
            return
        }
        try Files.write("new", to: fixture.source)
        unsafe chmod(fixture.source, 0o600)
        let unreadable = asNobody([fixture.source, fixture.destination])
        #expect(unreadable.status == 1)
        #expect(unreadable.output.contains("cannot be copied: you may not open"))

        unsafe chmod(fixture.source, 0o644)
        try Files.write("old", to: fixture.destination)
        unsafe chmod(fixture.destination, 0o444)
        let protected = asNobody([fixture.source, fixture.destination])
        #expect(protected.status == 1)
        #expect(protected.output.contains("--force"), "\(protected)")
        #expect(try Files.text(of: fixture.destination) == "old")
        let forced = asNobody([fixture.source, fixture.destination, "--force"])
        #expect(forced.status == 0, "\(forced)")
        #expect(try Files.text(of: fixture.destination) == "new")
        #expect(try Files.status(fixture.destination).st_uid == 65_534)

        // A directory to put things into, but not to look into.
        let box = fixture.directory.path("box")
        unsafe mkdir(box, 0o755)
        unsafe chmod(box, 0o733)
        let boxed = asNobody([fixture.source, box])
        #expect(boxed.status == 0, "\(boxed)")
        #expect(try Files.text(of: box + "/source") == "new")
        unsafe chmod(box, 0o755)
        let closed = asNobody([fixture.source, box + "/other"])
        #expect(closed.status == 1)
        #expect(closed.output.contains("may not make files in \(box)"), "\(closed)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: box) == ["source"])
    }

    @Test func closedStandardDescriptorsAreNotWrittenInto() throws {
        let fixture = try CopyFixture()
        try Files.write("text", to: fixture.source)
        let end = Command.run([
            "sh", "-c", "exec \"$0\" copy \"$1\" \"$2\" <&- >&- 2>&-",
            Executable.url("ioengine").path, fixture.source, fixture.destination,
        ])
        #expect(end.status == 0)
        #expect(try Files.text(of: fixture.destination) == "text")
    }

    @Test func beyondTheFileSizeLimit() throws {
        var random = SeededRandom()
        let fixture = try CopyFixture()
        try Files.make(fixture.source, size: 1 << 20, using: &random)
        let end = Command.run([
            "sh", "-c", "ulimit -f 8 && exec \"$0\" copy \"$1\" \"$2\"",
            Executable.url("ioengine").path, fixture.source, fixture.destination,
        ])
        #expect(end.status == 1)
        #expect(end.output.contains("RLIMIT_FSIZE"), "\(end)")
        #expect(try fixture.others.isEmpty)
    }
}
