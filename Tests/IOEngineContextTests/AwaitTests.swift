import Foundation
import TestSupport
import Testing

/// Ordinary loops that await IO, of which optimised builds of Swift 6.2 and 6.3 make programs that crash when
/// the continuation stands in the loop.
@Suite struct AwaitTests {
    static let release = ProcessInfo.processInfo.environment["IOENGINE_RELEASE_AWAITS"]

    @Test(
        "two dozen loops read what they should",
        .disabled(
            if: Sanitizer.isThread,
            "ThreadSanitizer does not see how Swift's runtime hands a resumed task to another thread"
        ))
    func loops() {
        run(Command.program("AwaitLoops"))
    }

    /// The build is made by .ci/run.
    @Test(
        "the same loops, optimised",
        .enabled(
            if: release != nil,
            "IOENGINE_RELEASE_AWAITS does not name AwaitLoops built with -c release"))
    func optimisedLoops() throws {
        run(try #require(Self.release))
    }

    private func run(_ program: String) {
        let end = Command.run([program, TemporaryFolder.newPath("awaits")])
        #expect(end.status == 0, "\(end)")
        #expect(end.output.contains("24 loops"), "\(end)")
    }
}
