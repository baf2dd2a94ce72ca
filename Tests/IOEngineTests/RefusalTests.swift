import Glibc
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// Where a seccomp filter refuses kernel interfaces, in a process of its own.
@Suite struct RefusalTests {
    @Test(
        "the next driver serves, and the report says why",
        arguments: [ENOSYS, EPERM], ["uring", "both"])
    func refused(_ errno: Int32, _ what: String) {
        let end = Command.run(
            [Command.helper, "refusal", "\(errno)", what, TemporaryFolder.newPath("refusal")])
        #expect(end.status == 0, "\(end)")
    }

    @Test(
        "a filter that does not know statx hides nothing of a path",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: [ENOSYS, EPERM])
    func statx(_ errno: Int32) throws {
        guard let system = TestFileSystem.separate(label: "refused-statx-\(errno)") else { return }
        let path = system.newPath("file")
        let file = try openNew(path)
        _ = try file.fileDescriptor.writeAll(pattern(1 << 20))
        // The same device once more, read-only, and mounted last.
        let other = TemporaryFolder.newPath("bound")
        try #require(unsafe mkdir(other, 0o755) == 0)
        for options in ["bind", "remount,bind,ro"] {
            let end = Command.run(["mount", "-o", options, system.path, other])
            try #require(end.status == 0, "\(end)")
        }
        defer { Command.run(["umount", "-l", other]) }
        let end = Command.run([Command.helper, "refused-statx", "\(errno)", path])
        #expect(end.status == 0, "\(end)")
    }

    @Test("a filter that does not know preadv2 stops no read; one without eventfds is named")
    func oldFilter() {
        let end = Command.run([Command.helper, "old-filter", TemporaryFolder.newPath("filter")])
        #expect(end.status == 0, "\(end)")
    }
}
