internal import ArgumentParser
internal import Glibc
internal import IOEngineBench
internal import SystemPackage

/// Standard output for the result, and standard error for everything else.
enum Terminal {
    /// Writes the result. Whoever reads it must be able to trust that it is whole: else the command fails.
    static func say(_ text: String) throws(ExitCode) {
        var line = text + "\n"
        do {
            _ = try line.withUTF8 { bytes in
                try unsafe FileDescriptor.standardOutput.writeAll(UnsafeRawBufferPointer(bytes))
            }
        } catch {
            complain("Error: the result cannot be written to standard output (\(error)).")
            throw ExitCode.failure
        }
    }

    static func complain(_ line: String) { write(line + "\n") }

    static func write(_ text: String) {
        var text = text
        // What cannot be said on standard error cannot be said at all.
        text.withUTF8 { bytes in
            _ = unsafe Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
        }
    }
}

/// One line that is written over itself, for people who wait. Only on a terminal.
final class LiveLine {
    private var isShown = false

    /// Nil when standard error is no terminal.
    init?() { if isatty(STDERR_FILENO) == 0 { return nil } }

    deinit { clear() }

    func show(_ progress: BenchProgress) {
        let rate = Number.grouped(progress.operationsPerSecond)
        switch progress.phase {
        case .layingOut: replace(with: "writing the file: \(rate) MiB/s")
        case .measuring:
            replace(with: "\(rate) IOPS, \(Number.fixed(progress.secondsLeft, 0)) s left")
        case .checking: replace(with: "reading back what was written: \(rate) IOPS")
        }
    }

    func clear() {
        if isShown { Terminal.write("\r\u{1b}[K") }
        isShown = false
    }

    func replace(with text: String) {
        Terminal.write("\r\u{1b}[K" + text)
        isShown = true
    }
}
