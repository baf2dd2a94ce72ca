internal import IOEngineCore

/// What is to be measured. Plain settings; ``validate()`` says what is wrong with them.
public struct BenchPlan: Equatable, Sendable {
    /// The order and kind of the IOs, in fio's words.
    public enum Workload: String, CaseIterable, Sendable {
        case read
        case write
        case randread
        case randwrite
        /// Reads and writes at random, half and half.
        case randrw

        @inlinable public var isRandom: Bool { self != .read && self != .write }
        @inlinable public var reads: Bool { self == .read || self == .randread || self == .randrw }
        @inlinable public var writes: Bool { self != .read && self != .randread }
    }

    /// How the engine is used.
    public enum Mode: String, CaseIterable, Sendable {
        /// A closed loop on one `IOLoop` a job.
        case loop
        /// An `IOContext` a job, with a thread of its own.
        case context
    }

    public var mode: Mode = .loop
    public var workload: Workload = .randread
    /// Bytes of one IO.
    public var blockSize = 4096
    /// IOs in flight, of each job.
    public var depth = 32
    /// Threads, each with a driver of its own.
    public var jobs = 1
    /// Bytes of the file that take part.
    public var size = 1 << 30
    public var runtimeSeconds: Double = 3
    /// For contexts: threads that submit, of each job; 0: callbacks submit again.
    public var submitters = 0
    /// For contexts: threads that run the callbacks; 0: they run inline.
    public var workers = 0
    /// Nil: a temporary file in the current directory, which is gone afterwards.
    public var path: String?
    /// Past the page cache. Nil: for a temporary file if its file system can, else not.
    public var direct: Bool?
    /// No looks at the clock for each IO, hence no latencies.
    public var gtodReduce = false
    /// Registers buffers and file with the driver, where it can; false: nothing. Nil: what the loop does
    /// by itself, which registers a busy file.
    public var registered: Bool?
    /// Every block that is written carries a pattern, which is checked wherever it is read.
    public var verify = false
    /// What the file has to be like before it is measured: `.written` or `.unwritten`. Nil: as it
    /// is; a file that is made here is then unwritten.
    public var fileState: FileState?
    /// Decides the offsets, the mixture of reads and writes, and the pattern.
    public var seed: UInt64 = 0
    /// Allows writing to a file or device that exists already.
    public var overwrite = false

    public init() {}

    /// Blocks that take part.
    public var blockCount: Int { size / blockSize }

    /// Bytes that take part: whole blocks.
    public var extent: Int { blockCount * blockSize }

    /// Whether each job keeps to a part of the file of its own: sequential ones, so that they do
    /// not do the same; verified ones, so that each knows what was written where.
    public var splitsFile: Bool { !workload.isRandom || verify }
}

extension BenchPlan {
    /// The most threads; more than this measures the scheduler.
    static let largestJobs = 1024
    /// What a loop takes at most; drivers may take less and then say so.
    static let largestDepth = 65_536

    /// Throws one sentence about the first setting that makes no sense.
    public func validate() throws(BenchError) {
        guard blockSize > 0 else {
            throw BenchError("A block has at least one byte; give --bs a size such as 4k.")
        }
        guard blockSize <= IORequest.maximumTransfer else {
            throw BenchError(
                "A block of \(ByteCount.text(blockSize)) is more than the kernel moves at once; "
                    + "give --bs at most 2147479552.")
        }
        guard depth >= 1, depth <= Self.largestDepth else {
            throw BenchError(
                "A queue depth of \(depth) is out of range; "
                    + "give --iodepth 1 to \(Self.largestDepth).")
        }
        guard jobs >= 1, jobs <= Self.largestJobs else {
            throw BenchError(
                "\(jobs) jobs are out of range; give --numjobs 1 to \(Self.largestJobs).")
        }
        guard runtimeSeconds > 0, runtimeSeconds <= 1_000_000 else {
            throw BenchError(
                "A runtime of \(runtimeSeconds) seconds is out of range; "
                    + "give --runtime a number of seconds above 0.")
        }
        try validateContext()
        try validateSize()
        if verify, blockSize % BlockPattern.sectorSize != 0 {
            throw BenchError(
                "The pattern of --verify is made of sectors of 512 bytes; "
                    + "give --bs a multiple of 512.")
        }
        if fileState == .partlyWritten || fileState == .device {
            throw BenchError(
                "A file is prepared as unwritten or written; give --file-state one of them.")
        }
    }

    /// The most threads around a context that make sense to measure.
    static let largestHelpers = 1024

    private func validateContext() throws(BenchError) {
        let helpers = 0...Self.largestHelpers
        guard helpers.contains(submitters), helpers.contains(workers) else {
            throw BenchError(
                "Submitters and workers are threads; give --submitters and --workers "
                    + "0 to \(Self.largestHelpers).")
        }
        guard mode != .context || !verify else {
            throw BenchError("Blocks are verified in loops; give --verify with --mode loop.")
        }
        guard mode == .context || (submitters == 0 && workers == 0) else {
            throw BenchError(
                "A loop has no threads around it; give --submitters and --workers "
                    + "with --mode context.")
        }
    }

    /// What depends on the size, which a small device lowers.
    func validateSize() throws(BenchError) {
        guard size >= blockSize else {
            throw BenchError(
                "A block of \(ByteCount.text(blockSize)) does not fit into "
                    + "\(ByteCount.text(size)); give a smaller --bs or a larger --size.")
        }
        if splitsFile, blockCount < jobs {
            throw BenchError(
                "\(jobs) jobs cannot share \(blockCount) blocks, each a part of its own; "
                    + "give fewer --numjobs or a larger --size.")
        }
    }
}
