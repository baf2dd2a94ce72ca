internal import ArgumentParser
internal import IOEngineCopy
internal import IOEngineCore
internal import IOEngineURing

/// `ioengine copy`: a file from one place to another, whole or not at all.
struct CopyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Copies a file, or a block device into a file: whole and durable, or not at all.",
        discussion: """
            The copy gets its name in one step, when it is complete and on the device. After an \
            error or an interruption, whatever had the name before has it still. A file that has \
            the name is replaced, and its other hard links keep what they have; where the name is \
            a symbolic link, the file it leads to is replaced. A directory as destination means a \
            file of the same name in it.

            Kept are the bytes, the holes, and what owner, group and others may do, whatever the \
            umask. Not kept are owner, set-user-ID and set-group-ID, extended attributes, and the \
            times, unless asked for. A source that changes while it is copied is an error.

            Sizes are in bytes and take the units k, m, g and t, which are powers of 1024.
            """)

    @Argument(help: "A file or block device.", completion: .file())
    var source: String

    @Argument(help: "The copy's name, or a directory for it.", completion: .file())
    var destination: String

    @Flag(help: "Past the page cache, on both sides (O_DIRECT).")
    var direct = false

    @Option(help: "Bytes of one read and one write. (default: 1m)", transform: byteCount)
    var bs = CopyPlan.defaultBlockSize

    @Option(help: "Reads and writes in flight; each has a buffer of --bs bytes.")
    var iodepth = CopyPlan.defaultDepth

    @Flag(name: .shortAndLong, help: "Leaves a file alone that has the name already, and fails.")
    var noClobber = false

    @Flag(name: .shortAndLong, help: "Replaces a file also when it is write-protected.")
    var force = false

    @Flag(help: "Gives the copy the source's times of access and modification.")
    var preserveTimestamps = false

    @Flag(name: .shortAndLong, help: "Says nothing unless something goes wrong.")
    var quiet = false

    func validate() throws {
        if noClobber, force {
            throw ValidationError("--no-clobber and --force contradict each other.")
        }
    }

    func run() throws {
        let interruption = CopyInterruption()
        let watch = SignalWatch(
            first: { interruption.interrupt() }, second: { interruption.abandon() })
        let line = quiet ? nil : LiveLine()
        let outcome = Result { () throws(CopyError) in
            try CopyRunner.run(
                plan, interruption: interruption, onTick: line.map { line in { line.show($0) } }
            ) { depth throws(IOError) in try URingDriver(depth: depth) }
        }
        line?.clear()
        switch outcome {
        case .success(let report):
            if !quiet { Terminal.complain(Self.summary(report)) }
            for note in report.notes { Terminal.complain("Note: \(note)") }
        case .failure(let error):
            guard error.isInterruption else { throw error }
            Terminal.complain(error.sentence)
        }
        // Also when it came too late to end the copy: whoever started this must learn of it.
        watch.repeatSignal()
    }

    private var plan: CopyPlan {
        var plan = CopyPlan(source: source, destination: destination)
        plan.direct = direct
        plan.blockSize = bs
        plan.depth = iodepth
        plan.existing = noClobber ? .kept : force ? .replacedByForce : .replaced
        plan.keepsTimestamps = preserveTimestamps
        return plan
    }

    /// What was done, in a line.
    private static func summary(_ report: CopyReport) -> String {
        let holes = report.bytes - report.bytesMoved
        var text = "\(report.path): \(Number.bytes(report.bytes))"
        if holes > 0 { text += ", \(Number.bytes(holes)) of it holes," }
        text += " in \(Number.fixed(report.seconds, 2)) s"
        if report.bytesMoved > 0 {
            let rate = Double(report.bytesMoved) / max(report.seconds, 1e-9)
            text += ", \(Number.bytes(Int64(rate)))/s"
        }
        return text + ", durable"
    }
}

extension LiveLine {
    func show(_ progress: CopyProgress) {
        switch progress.phase {
        case .copying:
            let share =
                progress.bytesTotal == 0
                ? 100 : 100 * Double(progress.bytesDone) / Double(progress.bytesTotal)
            let left = progress.secondsLeft.map { ", \(Number.duration($0)) left" } ?? ""
            replace(
                with: "copying: \(Number.fixed(share, 0)) % of "
                    + "\(Number.bytes(progress.bytesTotal)), "
                    + "\(Number.bytes(Int64(progress.bytesPerSecond)))/s\(left)")
        case .syncing: replace(with: "making \(Number.bytes(progress.bytesTotal)) durable")
        }
    }
}
