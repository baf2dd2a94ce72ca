import Foundation
import IOEngineCopy
import SystemPackage
import TestSupport
import Testing

/// What a destination means, what it replaces, and what it does not.
struct CopyNamesTests {
    /// What copying is refused with; the directory must be as it was.
    private func refusal(_ fixture: CopyFixture) throws -> String {
        let before = try fixture.directory.contents.sorted()
        let error = #expect(throws: CopyError.self) { try fixture.run() }
        #expect(try fixture.directory.contents.sorted() == before)
        return error?.sentence ?? ""
    }

    private func fixture() throws -> CopyFixture {
        let fixture = try CopyFixture()
        try Files.write("new", to: fixture.source)
        return fixture
    }

    @Test func theSameFileIsRefused() throws {
        var fixture = try fixture()
        let folder = fixture.directory
        unsafe symlink("source", folder.path("symbolic"))
        unsafe link(fixture.source, folder.path("hard"))
        unsafe symlink(".", folder.path("here"))
        let names = [
            "source", "./source", "symbolic", "hard", ".", "here", "here/source", "here/here/hard",
        ]
        for name in names {
            fixture.plan.destination = folder.path(name)
            #expect(try refusal(fixture).contains("the same file"), "\(name)")
            fixture.plan.existing = .replacedByForce
            #expect(try refusal(fixture).contains("the same file"), "\(name), by force")
            fixture.plan.existing = .replaced
        }
        fixture.plan.source = folder.path("symbolic")
        fixture.plan.destination = folder.path("hard")
        #expect(try refusal(fixture).contains("the same file"))
        #expect(try Files.text(of: fixture.directory.path("source")) == "new")
    }

    @Test(arguments: [false, true])
    func aDirectoryMeansAFileInIt(_ slash: Bool) throws {
        var fixture = try fixture()
        let inner = fixture.directory.path("inner")
        unsafe mkdir(inner, 0o755)
        fixture.plan.destination = inner + (slash ? "/" : "")
        let report = try fixture.run()
        #expect(report.path == inner + "/source")
        #expect(try Files.text(of: inner + "/source") == "new")
    }

    @Test(arguments: [false, true])
    func aFileIsReplacedWhole(_ named: Bool) throws {
        var fixture = try fixture()
        fixture.plan.avoidsNamelessFiles = named
        try Files.write("old", to: fixture.destination)
        unsafe chmod(fixture.destination, 0o600)
        unsafe chmod(fixture.source, 0o644)
        let other = fixture.directory.path("other")
        unsafe link(fixture.destination, other)
        try fixture.run()
        #expect(try Files.text(of: fixture.destination) == "new")
        #expect(try Files.permissions(fixture.destination) == 0o644)
        #expect(try Files.text(of: other) == "old", "another name of the old file")
        #expect(try fixture.others == ["copy", "other"])
    }

    @Test func aSymbolicLinkStaysOne() throws {
        let fixture = try fixture()
        unsafe mkdir(fixture.directory.path("inner"), 0o755)
        let inner = fixture.directory.path("inner/file")
        try Files.write("old", to: inner)
        unsafe symlink("inner/file", fixture.destination)
        try fixture.run()
        #expect(try Files.text(of: inner) == "new")
        let target = try FileManager.default.destinationOfSymbolicLink(
            atPath: fixture.destination)
        #expect(target == "inner/file")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: fixture.directory.path("inner"))
                == ["file"])
    }

    @Test func aNameThatIsTakenStaysOnRequest() throws {
        var fixture = try fixture()
        try Files.write("old", to: fixture.destination)
        fixture.plan.existing = .kept
        #expect(try refusal(fixture).contains("--no-clobber"))
        #expect(try Files.text(of: fixture.destination) == "old")
        unsafe unlink(fixture.destination)
        try fixture.run()
        #expect(try Files.text(of: fixture.destination) == "new")
    }

    /// Somebody makes a file of that name while the copy is made.
    @Test(arguments: [CopyPlan.Existing.kept, .replaced, .replacedByForce], [false, true])
    func aNameThatIsTakenMeanwhile(_ existing: CopyPlan.Existing, _ named: Bool) throws {
        var fixture = try fixture()
        fixture.plan.existing = existing
        fixture.plan.avoidsNamelessFiles = named
        var hooks = HookedDriver.Hooks()
        let destination = fixture.destination
        hooks.onSubmit = { if $0 == 1 { try? Files.write("theirs", to: destination) } }
        if existing == .replacedByForce {
            try fixture.run(hooks)
            #expect(try Files.text(of: destination) == "new")
        } else {
            let error = #expect(throws: CopyError.self) { try fixture.run(hooks) }
            #expect(error?.sentence.contains("meanwhile") == true)
            #expect(try Files.text(of: destination) == "theirs")
        }
        #expect(try fixture.others == ["copy"])
    }

    /// What no file can be copied to, and a word of the sentence that says so.
    @Test func unsuitableDestinationsGetASentence() throws {
        var fixture = try fixture()
        let folder = fixture.directory
        unsafe symlink("nowhere", folder.path("dangling"))
        unsafe symlink("loop", folder.path("loop"))
        unsafe mkfifo(folder.path("pipe"), 0o600)
        unsafe mkdir(folder.path("inner"), 0o755)
        unsafe mkdir(folder.path("inner/source"), 0o755)
        let cases = [
            ("missing/copy", "no directory"), ("missing/", "no directory"),
            ("source/copy", "Not a directory"), ("dangling", "nowhere"), ("loop", "symbolic"),
            ("pipe", "no file"), ("inner", "is a directory"),
            (String(repeating: "x", count: 300), "too long"),
        ]
        for (name, word) in cases {
            fixture.plan.destination = folder.url.path + "/" + name
            let sentence = try refusal(fixture)
            #expect(sentence.contains(word), "\(name): \(sentence)")
            #expect(sentence.hasSuffix("."))
        }
        fixture.plan.destination = "/dev/null"
        #expect(try refusal(fixture).contains("no file"))
        fixture.plan.destination = ""
        #expect(try refusal(fixture).contains("no name"))
        fixture.plan.destination = "/proc"
        #expect(try refusal(fixture).contains("/proc/source"))
    }

    /// What cannot be copied, and a word of the sentence that says so.
    @Test func unsuitableSourcesGetASentence() throws {
        var fixture = try fixture()
        let folder = fixture.directory
        unsafe mkfifo(folder.path("pipe"), 0o600)
        let cases = [
            (folder.path("missing"), "no such file"), (folder.url.path, "is a directory"),
            (folder.path("pipe"), "is a pipe"), ("/dev/null", "neither"),
            ("/proc/version", "no size"), ("", "no name"),
            ("/sys/kernel/mm/transparent_hugepage/enabled", "changed"),
        ]
        for (path, word) in cases {
            fixture.plan.source = path
            let sentence = try refusal(fixture)
            #expect(sentence.contains(word), "\(path): \(sentence)")
            #expect(path.isEmpty || sentence.contains(path))
        }
        fixture.plan.source = "/proc/version"
        fixture.plan.direct = true
        #expect(try refusal(fixture).contains("no direct IO"))
    }

    @Test func settingsOutOfRangeGetASentence() throws {
        var fixture = try fixture()
        for (blockSize, depth, word) in [
            (0, 1, "--bs"), (-1, 1, "--bs"), (.max, 1, "--bs"), (1, 0, "--iodepth"),
            (1, 1 << 20, "--iodepth"),
        ] {
            fixture.plan.blockSize = blockSize
            fixture.plan.depth = depth
            #expect(try refusal(fixture).contains(word))
        }
    }

    @Test func aDestinationWithoutDirectIOGetsASentence() throws {
        guard TestFileSystem.isRoot else {
            print("skipped: only root may mount ramfs, which has no direct IO")
            return
        }
        var fixture = try fixture()
        let folder = fixture.directory.path("ramfs")
        unsafe mkdir(folder, 0o755)
        let mounted = Command.run(["mount", "-t", "ramfs", "ramfs", folder])
        guard mounted.status == 0 else {
            print("skipped: no ramfs: \(mounted)")
            return
        }
        defer { Command.run(["umount", folder]) }
        fixture.plan.destination = folder
        fixture.plan.direct = true
        #expect(try refusal(fixture).contains("no direct IO"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        fixture.plan.direct = false
        try fixture.run()
        #expect(try Files.text(of: folder + "/source") == "new")
    }
}
