internal import ArgumentParser
internal import Glibc

/// The command-line tool. Each subcommand is a file of its own.
@main
struct Tool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ioengine",
        abstract: "Asynchronous file and block IO: measures the engine on this machine.",
        subcommands: [BenchCommand.self])

    static func main() {
        // Beyond RLIMIT_FSIZE a write then answers EFBIG, which is reported, instead of a signal.
        signal(SIGXFSZ, SIG_IGN)
        main(nil)
    }
}
