import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// What the doctor says about paths.
@Suite struct DoctorPathTests {
    @Test("what leads nowhere or has no offsets is an error in a sentence")
    func errors() throws {
        let directory = try Directory()
        let pipe = directory.path("pipe")
        #expect(unsafe mkfifo(pipe, 0o600) == 0)
        let cases = [
            (directory.path("missing"), "there is nothing at"), ("", "there is nothing at"),
            (directory.path("pipe/x"), "no directory"), (pipe, "is a pipe"),
            ("/dev/null", "is a character device"),
        ]
        for (path, words) in cases {
            let run = try Executable.run("ioengine", ["doctor", path], in: directory)
            #expect(run.status == 1 && run.output.isEmpty)
            #expect(run.complaint.contains(words), "\(path): \(run.complaint)")
        }
    }

    @Test("of a directory it looks at a file without a name, and leaves nothing behind")
    func directory() throws {
        let directory = try Directory()
        let diagnosis = try Diagnosis([directory.url.path])
        let path = try #require(diagnosis.object("path"))
        #expect(path["kind"] as? String == "directory")
        #expect(try directory.contents.isEmpty)
        // A file in it is told the same about.
        let name = directory.path("file")
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: name))
        let file = try #require(try Diagnosis([name]).object("path"))
        #expect(file["kind"] as? String == "regular" && file["sizeBytes"] as? Int == 1 << 20)
        #expect(path["direct"] as? NSDictionary == file["direct"] as? NSDictionary)
        #expect(path["fileSystem"] as? NSDictionary == file["fileSystem"] as? NSDictionary)
    }

    @Test("file system, alignment and advice are right", arguments: TestFileSystem.available)
    func fileSystems(_ name: String) throws {
        let system = try #require(TestFileSystem.named(name))
        let file = system.newPath("doctor")
        try Data(count: 1 << 20).write(to: URL(fileURLWithPath: file))
        let diagnosis = try Diagnosis([file])
        let path = try #require(diagnosis.object("path"))
        let described = try #require(path["fileSystem"] as? [String: Any])
        #expect(described["name"] as? String == name)
        #expect(described["mountPoint"] as? String == system.path)
        #expect(described["isInMemory"] as? Bool == (name == "tmpfs"))
        let advice = try #require(path["advice"] as? [String: Any])
        #expect((advice["uring"] is String) == (name == "tmpfs"))
        #expect(advice["threads"] is NSNull && advice["aio"] is NSNull)
        if diagnosis.chosen == "uring" {
            #expect(try diagnosis.findings("path").isEmpty == (name != "tmpfs"))
        }
        let threads = try Diagnosis([file], before: ["env", "IOENGINE_DRIVER=threads"])
        #expect(try threads.findings("path").isEmpty, "advice is for the driver that is chosen")
        try hold(try #require(path["direct"] as? [String: Any]), of: file)
    }

    /// What it says about direct IO, tried.
    private func hold(_ direct: [String: Any], of file: String) throws {
        let descriptor = unsafe open(file, O_RDONLY | CLinux.O_DIRECT)
        #expect((descriptor >= 0) == (direct["isSupported"] as? Bool))
        if descriptor < 0 { return }
        defer { close(descriptor) }
        let offset = try #require(direct["readOffsetAlignment"] as? Int)
        let address = try #require(direct["memoryAlignment"] as? Int)
        var memory: UnsafeMutableRawPointer?
        #expect(unsafe posix_memalign(&memory, 1 << 17, 1 << 18) == 0)
        let buffer = unsafe try #require(memory)
        defer { unsafe free(buffer) }
        #expect(unsafe pread(descriptor, buffer + address, offset, off_t(offset)) == offset)
        // Half of it is refused, where there is a half.
        if offset > 1 {
            let count = unsafe pread(descriptor, buffer, offset / 2, off_t(offset / 2))
            #expect(count == -1 && errno == EINVAL, "\(direct): \(count)")
        }
        #expect(["kernel", "trial"].contains(direct["source"] as? String))
    }

    @Test("people are told the same")
    func text() throws {
        let run = try Executable.run("ioengine", ["doctor", "."], in: try Directory())
        #expect(run.status == 0 && run.complaint.isEmpty)
        for word in ["kernel", "chosen", "direct IO", "atomic writes", "file system", "Advice"] {
            #expect(run.output.contains(word), "\(word) in \(run.output)")
        }
    }
}
