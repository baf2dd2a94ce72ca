internal import ArgumentParser
internal import Glibc

/// The command-line tool. Each subcommand is a file of its own.
@main
struct Tool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ioengine",
        abstract: "Asynchronous file and block IO: measures, copies, and says what works here.",
        subcommands: [BenchCommand.self, CopyCommand.self, DoctorCommand.self])

    static func main() {
        // Closed standard descriptors would be given to files of ours, and complaints written there.
        for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
            _ = unsafe open("/dev/null", O_RDWR)
        }
        // Beyond RLIMIT_FSIZE a write then answers EFBIG, which is reported, instead of a signal.
        signal(SIGXFSZ, SIG_IGN)
        main(nil)
    }
}
