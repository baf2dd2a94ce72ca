import Glibc
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// Every system call that the library makes, refused by a real seccomp filter, with both errnos
/// that filters use, on each driver: what a driver does it does by another way, or the error names
/// the call.
@Suite struct RefusedCallTests {
    private static let drivers = ["uring", "aio", "threads"]
    private static let errnos: [(name: String, number: Int32)] = [
        ("EPERM", EPERM), ("ENOSYS", ENOSYS),
    ]

    /// The calls, as the helper lists them.
    private static let calls: [String] = Command.run([Command.helper, "refused-call"]).output
        .split(separator: "\n").map(String.init)

    @Test(
        "what a filter refuses is done by another way, or the error names the call",
        .disabled(
            if: Sanitizer.isAddress || Sanitizer.isThread,
            "a sanitizer's own calls are refused, too, and it ends the process"))
    func table() throws {
        try #require(Self.calls.count > 40)
        let head = Self.errnos.flatMap { errno in Self.drivers.map { "\($0), \(errno.name)" } }
        var lines = [
            "| refused call | \(head.joined(separator: " | ")) |",
            "|\(String(repeating: "---|", count: head.count + 1))",
        ]
        for call in Self.calls {
            var cells: [String] = []
            for errno in Self.errnos {
                for driver in Self.drivers {
                    let path = TemporaryFolder.newPath("refused")
                    // What direct IO needs is there before anything is refused.
                    let file = try openNew(path)
                    _ = try file.fileDescriptor.writeAll(pattern(4096))
                    // A program that crashes starts another one to tell, which would hang here.
                    let end = Command.run([
                        "env", "SWIFT_BACKTRACE=enable=no", Command.helper, "refused-call",
                        driver, call, "\(errno.number)", path,
                    ])
                    #expect(end.status == 0, "\(call), \(errno.name), \(driver): \(end)")
                    let last = end.output.split(separator: "\n").last.map(String.init) ?? ""
                    cells.append(end.status == 0 ? last : "**fails**, status \(end.status)")
                    unsafe unlink(path)
                }
            }
            lines.append("| \(call) | \(cells.joined(separator: " | ")) |")
        }
        print(lines.joined(separator: "\n"))
    }
}
