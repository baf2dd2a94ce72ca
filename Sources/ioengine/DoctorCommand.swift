internal import ArgumentParser
internal import IOEngine

/// `ioengine doctor`: what works here, how well, and what would have to be changed.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Says which driver works here and why, and what would have to be changed.",
        discussion: """
            Each driver is set up and used, as a program would, and dropped. With a path it also says \
            what files there want: alignment of direct IO, units of atomic writes, and which driver \
            suits them. Of a directory, a file without a name is made in it, where that is allowed; \
            nothing is left behind and nothing of yours is changed.

            The environment variable IOENGINE_DRIVER is honoured. The exit status is 0 if a program would \
            get a driver here, 1 if it would not or the path leads nowhere; advice alone does not \
            change it.
            """)

    enum Format: String, CaseIterable, ExpressibleByArgument { case text, json }

    @Argument(help: "A file, a directory or a block device.", completion: .file())
    var path: String?

    @Option(help: "IOs in flight that the drivers are set up for.")
    var iodepth = 32

    @Option(help: "For people or for scripts.")
    var outputFormat: Format = .text

    func validate() throws {
        guard (1...65_536).contains(iodepth) else {
            throw ValidationError(
                "A queue depth of \(iodepth) is out of range; give --iodepth 1 to 65536.")
        }
    }

    func run() throws {
        let report: SystemReport
        do throws(IOError) {
            report = try SystemReport(
                path: path, depth: iodepth, configuration: .init(logger: nil))
        } catch {
            Terminal.complain("Error: \(error.advice).")
            throw ExitCode.failure
        }
        switch outputFormat {
        case .text: try Terminal.say(DoctorText.text(report))
        case .json: try Terminal.say(try DoctorJSON.text(report))
        }
        if !report.works { throw ExitCode.failure }
    }
}
