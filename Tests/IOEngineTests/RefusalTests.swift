import Glibc
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

    @Test("a filter that does not know preadv2 stops no read; one without eventfds is named")
    func oldFilter() {
        let end = Command.run([Command.helper, "old-filter", TemporaryFolder.newPath("filter")])
        #expect(end.status == 0, "\(end)")
    }
}
