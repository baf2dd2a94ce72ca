public import IOEngineCore
internal import SystemPackage

/// Copies a file.
public enum CopyRunner {
    /// Copies what `plan` says, on this thread, which must not be one of Swift's or Dispatch's pool:
    /// IOs die with the thread that submitted them.
    ///
    /// When this returns the copy is complete, durable and has its name. When it throws there is no
    /// copy, and what had the name before has it still: all the work is done on a file without a
    /// name, or with a hidden one, in the destination's directory. Where file systems have no files
    /// without a name, a crash or SIGKILL can leave the hidden one.
    ///
    /// - Parameters:
    ///   - interruption: Lets another thread end the copy.
    ///   - onTick: Called on this thread, at most four times a second.
    ///   - driver: Makes a driver of the given depth; called on this thread.
    ///
    /// Throws a sentence: what is wrong and what to do about it.
    public static func run<D: IODriver & ~Copyable>(
        _ plan: CopyPlan, interruption: CopyInterruption = CopyInterruption(),
        onTick: ((CopyProgress) -> Void)? = nil, driver: (Int) throws(IOError) -> D
    ) throws(CopyError) -> CopyReport {
        let start = IOInstant.monotonic()
        try plan.validate()
        let source = try CopySource(plan)
        var destination = try CopyDestination(plan, source, interruption)
        // The whole size from the beginning: no write has to change it, and holes are there.
        try destination.resize(to: source.size)
        let route = CopyRoute(source, destination, direct: plan.direct, interruption)
        var pipeline = try CopyPipeline(route, plan, onTick, driver: driver)
        try pipeline.copy()
        try source.checkEnd()
        // Direct IO writes whole blocks.
        try destination.resize(to: source.size)
        try destination.adopt(source.status, timestamps: plan.keepsTimestamps)
        try pipeline.sync()
        try interruption.check()
        try destination.publish()
        return CopyReport(
            path: destination.target.path, bytes: source.size, bytesMoved: pipeline.bytesMoved,
            seconds: Double(IOInstant.monotonic().nanoseconds(since: start)) / 1e9,
            driver: pipeline.driverName, notes: destination.notes)
    }
}
