public import ArgumentParser
internal import IOEngine
internal import IOEngineAIO
public import IOEngineBench
internal import IOEngineCore
internal import IOEngineMerge
internal import IOEngineThreads
internal import IOEngineURing

/// `ioengine bench`: what one driver does here, in fio's words.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures IOs a second, CPU time and latency of the engine.",
        discussion: """
            Without a path it measures a temporary file in the current directory, which is gone \
            afterwards; a path that does not exist yet is made, --size large, and kept. A path \
            that exists is never written to without --overwrite. Sizes are in bytes and take the \
            units k, m, g and t, which are powers of 1024: 4k, 1GiB.

            --driver all measures one driver after the other, each on a file in the same state where \
            that can be had, and prints one row for each; as JSON it is an array of the objects that \
            a single driver gives, best driver first, and for one that is refused here an object of \
            the fields driver and refused. It is what happens without any arguments.
            """)

    enum Driver: String, CaseIterable, ExpressibleByArgument { case auto, uring, aio, threads, all }
    enum State: String, CaseIterable, ExpressibleByArgument { case unwritten, written }
    enum Format: String, CaseIterable, ExpressibleByArgument { case table, json }

    @Argument(help: "A file or block device.", completion: .file())
    var path: String?

    @Option(
        help: """
            The driver that is measured. auto: the best that works, or IOENGINE_DRIVER's; all: each \
            in turn. (default: uring; without any arguments: all)
            """)
    var driver: Driver?

    @Option(
        help: "How the engine is used: a loop on the job's own thread, or a context with its own.")
    var mode: BenchPlan.Mode = .loop

    @Option(help: "The order and kind of the IOs. randrw is half and half.")
    var rw: BenchPlan.Workload = .randread

    @Option(help: "Bytes of one IO.", transform: byteCount)
    var bs = 4096

    @Option(help: "IOs in flight, of each job.")
    var iodepth = 32

    @Option(help: "Threads, each with a driver of its own.")
    var numjobs = 1

    @Option(
        help: "For contexts: threads that submit, of each job; 0: callbacks submit again.")
    var submitters = 0

    @Option(help: "For contexts: threads that run the callbacks; 0: the context's own.")
    var workers = 0

    @Option(help: "Bytes of the file that take part.", transform: byteCount)
    var size = 1 << 30

    @Option(help: "Seconds to measure.")
    var runtime = 3.0

    @Flag(
        inversion: .prefixedNo,
        help: "Past the page cache (O_DIRECT). Default: only for a temporary file, if it can.")
    var direct: Bool?

    @Flag(help: "No looks at the clock for each IO, hence no latencies.")
    var gtodReduce = false

    @Flag(
        inversion: .prefixedNo,
        help: "Registers buffers and file with the driver, or nothing. Default: as the loop does.")
    var registered: Bool?

    @Flag(help: "Writes a pattern and checks it wherever it is read.")
    var verify = false

    @Option(help: "What the file has to be like before. Default: as it is; a new one is unwritten.")
    var fileState: State?

    @Option(help: "Decides offsets, mixture and pattern.")
    var seed: UInt64 = 0

    @Flag(help: "Allows destroying what is in a file or device that exists.")
    var overwrite = false

    @Option(
        help: "Joins neighbouring IOs into requests of at most so many bytes.",
        transform: byteCount)
    var merge: Int?

    @Option(help: "Microseconds that an IO may wait for neighbours; needs --merge.")
    var mergeWait = 0

    @Option(help: "For people or for scripts.")
    var outputFormat: Format = .table

    func run() throws {
        // The command's name is all there is.
        let isBare = CommandLine.arguments.count == 2
        let comparison: BenchComparison
        let driver = driver ?? (isBare ? .all : .uring)
        if driver != .all {
            comparison = BenchComparison(only: try measure(driver, plan))
        } else {
            comparison = try BenchComparison.run(plan, measure)
        }
        switch outputFormat {
        case .json:
            try Terminal.say(try comparison.json())
            for note in comparison.notes { Terminal.complain("Note: \(note)") }
        case .table:
            try Terminal.say(comparison.table)
        }
        for report in comparison.reports where report.errors > 0 {
            Terminal.complain(
                "Error: \(report.errors) of the IOs went wrong; the first: "
                    + (report.firstError ?? "unknown"))
        }
        if comparison.reports.allSatisfy({ $0.errors == 0 }), !comparison.reports.isEmpty { return }
        throw ExitCode.failure
    }

    func validate() throws {
        guard mergeWait >= 0 else {
            throw ValidationError("Nothing waits less than no time; give --merge-wait 0 or more.")
        }
        guard merge != nil || mergeWait == 0 else {
            throw ValidationError("Only merged IOs wait for neighbours; give --merge as well.")
        }
        guard (1...IORequest.maximumTransfer).contains(merge ?? 1) else {
            throw ValidationError(
                "A merged request moves 1 byte to 2 GiB; give --merge a size such as 128k.")
        }
    }

    /// One specialised runner a driver.
    private func measure(_ driver: Driver, _ plan: BenchPlan) throws -> BenchReport {
        let line = LiveLine()
        defer { line?.clear() }
        let onTick = line.map { line in { (progress: BenchProgress) in line.show(progress) } }
        if let merge {
            let policy = MergePolicy(maximumBytes: merge, wait: .microseconds(mergeWait))
            return try measureMerged(driver, plan, policy, onTick)
        }
        return switch driver {
        case .uring:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                try URingDriver(depth: depth)
            }
        case .aio:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                try AIODriver(depth: depth)
            }
        case .threads:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                try ThreadPoolDriver(depth: depth)
            }
        case .auto, .all:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                try SystemDriver(depth: depth, configuration: .init(logger: nil))
            }
        }
    }

    private func measureMerged(
        _ driver: Driver, _ plan: BenchPlan, _ policy: MergePolicy,
        _ onTick: ((BenchProgress) -> Void)?
    ) throws -> BenchReport {
        switch driver {
        case .uring:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                MergingDriver(try URingDriver(depth: depth), policy: policy)
            }
        case .aio:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                MergingDriver(try AIODriver(depth: depth), policy: policy)
            }
        case .threads:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                MergingDriver(try ThreadPoolDriver(depth: depth), policy: policy)
            }
        case .auto, .all:
            try BenchRunner.run(plan, onTick: onTick) { depth throws(IOError) in
                MergingDriver(
                    try SystemDriver(depth: depth, configuration: .init(logger: nil)),
                    policy: policy)
            }
        }
    }

    private var plan: BenchPlan {
        var plan = BenchPlan()
        plan.mode = mode
        plan.workload = rw
        plan.blockSize = bs
        plan.depth = iodepth
        plan.jobs = numjobs
        plan.submitters = submitters
        plan.workers = workers
        plan.size = size
        plan.runtimeSeconds = runtime
        plan.path = path
        plan.direct = direct
        plan.gtodReduce = gtodReduce
        plan.registered = registered
        plan.verify = verify
        plan.fileState = fileState.map { $0 == .written ? .written : .unwritten }
        plan.seed = seed
        plan.overwrite = overwrite
        return plan
    }
}

extension BenchPlan.Workload: ExpressibleByArgument {}
extension BenchPlan.Mode: ExpressibleByArgument {}

/// What an option says in bytes.
@Sendable
func byteCount(_ text: String) throws -> Int {
    guard let bytes = ByteCount.parse(text) else {
        throw ValidationError("'\(text)' is no number of bytes; write it as 4096, 4k, 1m or 1GiB.")
    }
    return bytes
}
