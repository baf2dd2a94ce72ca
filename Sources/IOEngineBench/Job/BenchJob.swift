internal import Glibc
public import IOEngineCore
internal import SystemPackage

/// One job: a driver, a loop over it and a closed circle of events, on the thread that calls.
///
/// All of it is generic and inlinable, so that the executable that picks the driver gets a copy
/// made for that driver: an unspecialised loop costs several times what the kernel does.
public enum BenchJob {
    /// Sets up, waits for the others, measures, waits again, then checks and tidies up.
    @inlinable
    public static func run<D: IODriver & ~Copyable>(
        _ order: JobOrder, _ makeDriver: @escaping @Sendable (Int) throws(IOError) -> D
    ) -> JobResult {
        do throws(IOError) {
            return order.plan.mode == .context
                ? try runContext(order, makeDriver) : try runOrThrow(order, makeDriver)
        } catch {
            // Nothing throws after the gate, so this job has not passed it yet.
            var result = JobResult()
            result.failure = BenchError(error)
            refuseToMeasure(order.gate)
            return result
        }
    }

    /// Throws only while it sets up.
    @inlinable
    static func runOrThrow<D: IODriver & ~Copyable>(
        _ order: JobOrder, _ makeDriver: @Sendable (Int) throws(IOError) -> D
    ) throws(IOError) -> JobResult {
        let plan = order.plan
        var result = JobResult()
        let pool = try IOBufferPool(
            count: plan.depth, bufferCapacity: plan.blockSize, hugePages: plan.registered == true)
        var loop = try IOLoop<NoCallback, D>(
            depth: plan.depth, driver: try makeDriver(plan.depth),
            recordsLatencies: !plan.gtodReduce)
        let capabilities = loop.withDriver { $0.capabilities }
        result.driverName = capabilities.name
        result.setUp = capabilities.setUp
        if plan.registered == true { register(&loop, pool, order, &result) }

        order.gate.pass(.prepared)
        var checked = CheckedBlocks(order)
        if !order.gate.isStopped {
            let before = loop.statistics
            if plan.verify || plan.workload == .randrw {
                measureChecked(&loop, pool, order, &checked, &result)
            } else {
                measureUniform(&loop, pool, order, &result)
            }
            account(&result, since: before, loop.statistics)
            result.latencies = loop.latencies
        }
        order.gate.pass(.measured)
        if plan.verify, !order.gate.isStopped {
            readBack(&loop, pool, order, &checked, &result)
        }
        order.gate.pass(.checked)
        return result
    }

    @inlinable
    static func register<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>, _ pool: IOBufferPool, _ order: JobOrder,
        _ result: inout JobResult
    ) {
        if case .unavailable(let errno) = loop.register(pool) {
            noteUnregistered("buffers", errno, &result)
        }
        if case .unavailable(let errno) = loop.register(order.descriptor) {
            noteUnregistered("the file", errno, &result)
        }
    }

    @usableFromInline
    static func noteUnregistered(_ what: String, _ number: Int32, _ result: inout JobResult) {
        let remedy = number == ENOMEM ? "; raise RLIMIT_MEMLOCK (ulimit -l)" : ""
        result.notes.append(
            "\(what) could not be registered (\(Errno(rawValue: number)))\(remedy)")
    }

    @usableFromInline
    static func account(_ result: inout JobResult, since before: IOStatistics, _ now: IOStatistics)
    {
        result.bytes =
            (now.bytesRead &- before.bytesRead) &+ (now.bytesWritten &- before.bytesWritten)
        result.systemCalls = now.systemCalls &- before.systemCalls
        result.shortTransfers = now.shortTransfers &- before.shortTransfers
    }

    /// Passes the gate each time without measuring, and keeps the others from it.
    @usableFromInline
    static func refuseToMeasure(_ gate: JobGate) {
        gate.stop()
        for point in JobGate.Point.allCases { gate.pass(point) }
    }
}
