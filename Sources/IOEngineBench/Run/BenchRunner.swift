public import IOEngineCore

/// Runs a plan from the file's preparation to the report.
public enum BenchRunner {
    /// Measures what `plan` says.
    ///
    /// - Parameters:
    ///   - onTick: Called on this thread, at most four times a second.
    ///   - driver: Makes a driver of the given depth; called on each job's thread.
    ///
    /// Throws a sentence when there is nothing to measure. IOs that fail while it measures are
    /// counted in the report.
    @inlinable
    public static func run<D: IODriver & ~Copyable>(
        _ plan: BenchPlan, onTick: ((BenchProgress) -> Void)? = nil,
        driver: @escaping @Sendable (Int) throws(IOError) -> D
    ) throws(BenchError) -> BenchReport {
        var session = try BenchSession(plan, onTick)
        // The only places that know the driver's type. They are closures so that the rest, threads
        // above all, need not be generic.
        try session.layOut { BenchLayout.run($0, driver) }
        return try session.measure { BenchJob.run($0, driver) }
    }
}
