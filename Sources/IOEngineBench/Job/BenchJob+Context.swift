internal import CLinux
internal import Glibc
public import IOEngineCore
internal import Synchronization

extension BenchJob {
    /// A job over a context: its own thread only starts, waits and stops.
    @inlinable
    static func runContext<D: IODriver & ~Copyable>(
        _ order: JobOrder, _ makeDriver: @escaping @Sendable (Int) throws(IOError) -> D
    ) throws(IOError) -> JobResult {
        let plan = order.plan
        var result = JobResult()
        // Submitters need buffers for what waits in the queue, too.
        let spare = plan.submitters > 0 ? plan.submitters + ContextSettings.queueCapacity : 0
        let pool = try IOBufferPool(
            count: plan.depth + spare, bufferCapacity: plan.blockSize,
            hugePages: plan.registered == true)
        let lanes = ContextLanes(order)
        let depth = plan.depth
        let context = try IOContext<ContextCallback, D>(
            depth: depth, configuration: try ContextSettings.make(plan)
        ) { () throws(IOError) -> D in try makeDriver(depth) }
        result.driverName = context.capabilities.name
        result.setUp = context.capabilities.setUp
        if plan.registered == true {
            if case .unavailable(let errno) = context.register(pool) {
                noteUnregistered("buffers", errno, &result)
            }
            if case .unavailable(let errno) = context.register(order.descriptor) {
                noteUnregistered("the file", errno, &result)
            }
        }

        order.gate.pass(.prepared)
        if !order.gate.isStopped {
            let before = context.snapshot().statistics
            let start = IOInstant.monotonic()
            let threads = unsafe ContextSettings.startSubmitters(order, lanes) { lane in
                unsafe submitAll(context, pool, lane)
            }
            if plan.submitters == 0 {
                for i in 0..<depth {
                    guard let buffer = pool.take() else { break }
                    let event = unsafe lanes.lanes[i % lanes.count].next(
                        buffer, lanes.callback(i, submitsAgain: true))
                    _ = context.submit(event)
                }
            }
            ContextSettings.wait(order, lanes)
            result.startNanoseconds = start.nanoseconds
            result.elapsedNanoseconds = max(1, IOInstant.monotonic().nanoseconds(since: start))
            let operations = lanes.finished
            let after = context.snapshot()
            lanes.stop()
            for thread in threads { thread.join() }
            account(&result, since: before, after.statistics)
            result.operations = UInt64(max(0, operations - lanes.failed))
            result.latencies = after.latencies
            context.shutdown()
            if lanes.failed > 0 {
                result.errors += UInt64(lanes.failed)
                result.firstError = result.firstError ?? lanes.firstError
            }
        }
        order.gate.pass(.measured)
        order.gate.pass(.checked)
        return result
    }

    /// The life of a submitter: a new event for each free buffer.
    @inlinable
    static func submitAll<D: IODriver & ~Copyable>(
        _ context: IOContext<ContextCallback, D>, _ pool: IOBufferPool,
        _ lane: UnsafeMutablePointer<ContextLane>
    ) {
        let callback = unsafe ContextCallback(lane: lane, submitsAgain: false)
        while unsafe !lane.pointee.isStopped {
            guard let buffer = pool.take() else {
                ContextSettings.yield()
                continue
            }
            guard context.submit(unsafe lane.pointee.next(buffer, callback)).isAccepted else {
                return
            }
        }
    }
}

extension ContextLane {
    @usableFromInline var isStopped: Bool { isStopping.load(ordering: .relaxed) }
}

/// What a measured context needs that does not depend on its driver.
@usableFromInline
enum ContextSettings {
    @usableFromInline static var queueCapacity: Int { 256 }

    @usableFromInline
    static func make(_ plan: BenchPlan) throws(IOError) -> IOContextConfiguration {
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = max(queueCapacity, plan.submitters > 0 ? 0 : plan.depth)
        configuration.recordsLatencies = !plan.gtodReduce
        if plan.workers > 0 { configuration.workers = try IOWorkers(count: plan.workers) }
        return configuration
    }

    @usableFromInline
    static func startSubmitters(
        _ order: JobOrder, _ lanes: ContextLanes,
        _ body: @escaping @Sendable (UnsafeMutablePointer<ContextLane>) -> Void
    ) -> [JobThread] {
        (0..<order.plan.submitters).compactMap { i in
            let lane = UInt(bitPattern: unsafe lanes.lanes + i)
            return try? JobThread {
                // The lanes outlive the threads, which are joined before.
                if let lane = unsafe UnsafeMutablePointer<ContextLane>(bitPattern: lane) {
                    unsafe body(lane)
                }
            }
        }
    }

    /// Sleeps for the measured time, and tells how far it is.
    @usableFromInline
    static func wait(_ order: JobOrder, _ lanes: ContextLanes) {
        let end = IOInstant.monotonic().advanced(by: .seconds(order.plan.runtimeSeconds))
        var told = 0
        while true {
            let left = end.nanoseconds(since: .monotonic())
            if left <= 0 { return }
            var time = timespec(tv_sec: 0, tv_nsec: Int(min(left, 100_000_000)))
            unsafe nanosleep(&time, nil)
            let finished = lanes.finished
            order.gate.count(finished - told)
            told = finished
        }
    }

    @usableFromInline
    static func yield() { _ = sched_yield() }
}
