import Glibc
import TestSupport
import Testing

/// What depends on limits, signals and privileges of the whole process, in a process of its own.
@Suite struct ProcessTests {
    private func run(_ scenario: [String], before: [String] = []) {
        let end = Command.run(before + [Command.helper] + scenario)
        #expect(end.status == 0, "\(scenario): \(end)")
    }

    @Test(
        "beyond RLIMIT_FSIZE the answer is EFBIG and the process lives",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available, ["ignored", "default"])
    func fileSizeLimit(_ name: String, signal: String) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        run(["file-size-limit", fileSystem.newPath("limit"), signal])
    }

    @Test(
        "an append at RLIMIT_FSIZE answers EFBIG and the process lives",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available, ["ignored", "default"])
    func appendingAtTheLimit(_ name: String, signal: String) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        run(["appending-at-the-limit", fileSystem.newPath("limit"), signal])
    }

    @Test(
        "RLIMIT_FSIZE that changes after the set-up is obeyed, and the process lives",
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available)
    func changingFileSizeLimit(_ name: String) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        run(["changing-file-size-limit", fileSystem.newPath("limit")])
    }

    @Test("0 bytes from a read that must not wait are not taken for the end")
    func earlyEnds() {
        run(["early-ends", TemporaryFolder.newPath("early")])
    }

    @Test("a thousand signals a second change no result")
    func signals() {
        run(["signal-storm", TemporaryFolder.newPath("storm")])
    }

    @Test(
        "too small a RLIMIT_MEMLOCK refuses the registration and nothing else",
        .enabled(
            if: TestFileSystem.isRoot && Command.exists("setpriv"),
            "setpriv is needed to drop CAP_IPC_LOCK, and root to have it"))
    func memoryLockLimit() {
        run(
            ["memory-lock-limit", TemporaryFolder.newPath("lock")],
            before: ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"])
    }

    @Test("a forked child may drop a driver, and harms neither the parent nor its own files")
    func forkedDriver() {
        run(["forked-driver"])
    }

    @Test("without a free descriptor the set-up says so, and every driver gives its own back")
    func noDescriptors() {
        run(["no-descriptors"])
    }

    @Test(
        "where no thread can be started, nobody waits for ever",
        .enabled(
            if: TestFileSystem.isRoot && Command.exists("setpriv"),
            "setpriv and root are needed to become somebody else"))
    func noThreads() throws {
        let end = try Command.runAsNobody("no-threads")
        #expect(end.status == 0, "\(end)")
    }
}
