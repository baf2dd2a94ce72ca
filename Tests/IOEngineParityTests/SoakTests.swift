import Glibc
import TestSupport
import Testing

/// Everything at once, for long: random operations on ext4, xfs and tmpfs, stopped at random, against a
/// model; nothing may be left over.
///
/// A million operations a driver in release, which takes some minutes:
/// `swift build -c release --product SoakHelper && .build/release/SoakHelper aio 1000000`, or
/// `IOENGINE_SOAK=1000000 swift test --filter SoakTests`.
@Suite(.enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
struct SoakTests {
    @Test(arguments: ["uring", "aio", "threads"])
    func soak(_ driver: String) {
        if driver == "uring", !Parity.hasURing { return }
        let count = unsafe getenv("IOENGINE_SOAK").map { unsafe String(cString: $0) } ?? "3000"
        let end = Command.run([Command.program("SoakHelper"), driver, count])
        #expect(end.status == 0, "\(end)")
        if count != "3000" { print(end.output) }
    }
}
