public import IOEngineCore

/// What was measured. Encodes to the fields that scripts read; what only people want is not
/// encoded.
public struct BenchReport: Sendable {
    /// From the moment an event is submitted until it is handed over.
    public struct Latency: Codable, Equatable, Sendable {
        public var mean: Double
        public var p50: UInt64
        public var p90: UInt64
        public var p99: UInt64
        public var p999: UInt64
        public var max: UInt64
    }

    public internal(set) var driver = ""
    public internal(set) var mode: BenchPlan.Mode
    public internal(set) var workload: BenchPlan.Workload
    public internal(set) var blockSizeBytes: Int
    public internal(set) var depth: Int
    public internal(set) var jobs: Int
    /// Of the file, when the measured time began.
    public internal(set) var fileState: FileState
    /// IOs that succeeded, a second, over all jobs.
    public internal(set) var iops: Double = 0
    public internal(set) var bytesPerSecond: Double = 0
    /// User and system time of the whole process, kernel workers included, for one IO.
    public internal(set) var cpuMicrosPerIO: Double = 0
    public internal(set) var systemCallsPerThousandIOs: Double = 0
    /// Transfers that moved fewer bytes than asked for.
    public internal(set) var shortTransfers: UInt64 = 0
    /// IOs that failed, and blocks that do not verify.
    public internal(set) var errors: UInt64 = 0
    /// Nil where no clock was looked at.
    public internal(set) var latencyNanoseconds: Latency?

    /// The first error's words.
    public internal(set) var firstError: String?
    public internal(set) var isDirect: Bool
    /// The file was not there before, and was made under the path that was asked for.
    public internal(set) var madeFile: Bool
    /// What the engine knows of the file.
    public internal(set) var facts: IODescriptorFacts
    /// How the driver says it was set up.
    public internal(set) var setUp = ""
    /// What did not go as asked for, a sentence each.
    public internal(set) var notes: [String]
    /// IOs that succeeded.
    public internal(set) var operations: UInt64 = 0

    init(_ plan: BenchPlan, _ target: BenchTarget) {
        mode = plan.mode
        workload = plan.workload
        blockSizeBytes = plan.blockSize
        depth = plan.depth
        jobs = plan.jobs
        fileState = target.state
        isDirect = target.isDirect
        madeFile = target.isMade
        facts = target.file.facts
        notes = target.notes
        if plan.verify, !target.isDirect {
            notes.append("verified against the page cache; give --direct to read from the device")
        }
    }
}

extension BenchReport: Encodable {
    private enum CodingKeys: String, CodingKey {
        case driver, mode, rw, blockSizeBytes, depth, jobs, fileState, iops, bytesPerSecond
        case cpuMicrosPerIO, systemCallsPerThousandIOs, shortTransfers, errors, latencyNanoseconds
    }

    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(driver, forKey: .driver)
        try fields.encode(mode.rawValue, forKey: .mode)
        try fields.encode(workload.rawValue, forKey: .rw)
        try fields.encode(blockSizeBytes, forKey: .blockSizeBytes)
        try fields.encode(depth, forKey: .depth)
        try fields.encode(jobs, forKey: .jobs)
        try fields.encode(fileState.rawValue, forKey: .fileState)
        try fields.encode(iops, forKey: .iops)
        try fields.encode(bytesPerSecond, forKey: .bytesPerSecond)
        try fields.encode(cpuMicrosPerIO, forKey: .cpuMicrosPerIO)
        try fields.encode(systemCallsPerThousandIOs, forKey: .systemCallsPerThousandIOs)
        try fields.encode(shortTransfers, forKey: .shortTransfers)
        try fields.encode(errors, forKey: .errors)
        // Null, not absent, when there is none.
        try fields.encode(latencyNanoseconds, forKey: .latencyNanoseconds)
    }
}

extension BenchReport {
    /// One line that says honestly what these numbers are about.
    public var explanation: String {
        let isUnwritten = fileState == .unwritten
        if workload == .randrw {
            if !isDirect { return "page cache: reads and writes end in memory, nothing was synced" }
            return isUnwritten
                ? "a mixture: reads of what was never written touch no device, first writes also "
                    + "cost the file system metadata; nothing was synced"
                : "device reads and writes; nothing was synced, so the device's cache may "
                    + "hold writes"
        }
        if workload.writes {
            if !isDirect {
                return "page cache: writes end in memory, nothing was synced"
            }
            return isUnwritten
                ? "first writes: the file was never written, so each block also costs the file "
                    + "system metadata; nothing was synced"
                : "device writes; nothing was synced, so the device's cache may hold them"
        }
        switch (isDirect, fileState) {
        case (true, .unwritten):
            return "engine cost, not disk: the file was never written, "
                + "so the kernel touches no device"
        case (true, .partlyWritten):
            return "a mixture: part of the file was never written, "
                + "and reads of that touch no device"
        case (true, .written), (true, .device):
            return "device reads, past the page cache; the device's own cache takes part"
        case (false, .unwritten):
            return "page cache: the file was never written, so the kernel makes up zeros, no device"
        case (false, _):
            return "page cache: what was read before comes from memory, "
                + "only the rest from the device"
        }
    }
}
