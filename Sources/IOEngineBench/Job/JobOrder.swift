public import IOEngineCore

/// What one job is to do.
public struct JobOrder: Sendable {
    public let number: Int
    public let plan: BenchPlan
    public let descriptor: IODescriptor
    /// Numbers of the blocks that this job goes to.
    public let blocks: Range<Int>
    /// Every block holds the pattern before the job begins.
    public let isLaidOut: Bool
    public let gate: JobGate

    init(number: Int, plan: BenchPlan, target: BenchTarget, isLaidOut: Bool, gate: JobGate) {
        self.number = number
        self.plan = plan
        descriptor = target.file
        let count = plan.blockCount
        blocks =
            plan.splitsFile
            ? number * count / plan.jobs..<(number + 1) * count / plan.jobs : 0..<count
        self.isLaidOut = isLaidOut
        self.gate = gate
    }

    /// Reads a block. Without registration the file goes by its plain number, which the loop never
    /// registers by itself.
    @inlinable @inline(__always)
    func read(into buffer: consuming IOBuffer, at offset: Int64) -> IOEvent<NoCallback> {
        plan.registered == false
            ? .read(descriptor.fileDescriptor, into: buffer, at: offset)
            : .read(descriptor, into: buffer, at: offset)
    }

    /// Writes a block.
    @inlinable @inline(__always)
    func write(from buffer: consuming IOBuffer, at offset: Int64) -> IOEvent<NoCallback> {
        plan.registered == false
            ? .write(descriptor.fileDescriptor, from: buffer, at: offset)
            : .write(descriptor, from: buffer, at: offset)
    }

    public func makeOffsets() -> OffsetSequence {
        OffsetSequence(
            blocks: blocks, blockSize: plan.blockSize, isRandom: plan.workload.isRandom,
            seed: plan.seed, job: number)
    }
}

/// What one job found.
public struct JobResult: Sendable {
    /// IOs that succeeded in the measured time.
    public var operations: UInt64 = 0
    /// When it began, on the monotonic clock, and how long it measured.
    public var startNanoseconds: Int64 = 0
    public var elapsedNanoseconds: Int64 = 1
    public var bytes: UInt64 = 0
    public var systemCalls: UInt64 = 0
    public var shortTransfers: UInt64 = 0
    public var latencies: IOLatencies?
    /// Failed IOs and blocks that do not verify.
    public var errors: UInt64 = 0
    public var firstError: String?
    /// Why there was nothing to measure.
    public var failure: BenchError?
    public var notes: [String] = []
    /// How the driver says it was set up.
    public var driverName = ""
    public var setUp = ""

    public init() {}

    /// Counts one error, and keeps its words if it is the first.
    public mutating func note(_ error: String) {
        errors += 1
        if firstError == nil { firstError = error }
    }
}
