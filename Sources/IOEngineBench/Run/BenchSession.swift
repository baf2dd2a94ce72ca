internal import Glibc
internal import IOEngineCore
internal import Synchronization
internal import SystemPackage

/// One run: the file, the threads and the sums, whatever the driver.
@usableFromInline
struct BenchSession {
    private let plan: BenchPlan
    private var target: BenchTarget
    private var isLaidOut = false
    private let onTick: ((BenchProgress) -> Void)?

    /// Milliseconds between two looks at how far it is.
    private static let tick: Int32 = 250

    @usableFromInline
    init(_ plan: BenchPlan, _ onTick: ((BenchProgress) -> Void)?) throws(BenchError) {
        try plan.validate()
        var plan = plan
        target = try BenchTarget.prepare(&plan)
        self.plan = plan
        self.onTick = onTick
    }

    /// Writes the file if it has to be, and finds out whether it can be verified.
    @usableFromInline
    mutating func layOut(
        _ body: @escaping @Sendable (BenchLayout.Order) -> BenchError?
    ) throws(BenchError) {
        if target.needsLayout {
            let gate = try JobGate()
            let order = BenchLayout.Order(plan, target, gate)

            let failure = Slot<BenchError?>(nil)
            let thread = try JobThread { failure.set(body(order)) }
            wait(gate, 1, .layingOut, seconds: 0)
            gate.release(1, at: .prepared)
            thread.join()
            if let failure = failure.get() { throw failure }
            if target.state != .device {
                target.state = .ofFile(
                    target.file, extent: plan.extent, direct: target.isDirect)
            }
            isLaidOut = true
        } else if plan.verify, !plan.workload.writes {
            try target.checkPattern(plan)
        }
    }

    /// Starts the jobs, measures them and adds up.
    @usableFromInline
    func measure(
        _ job: @escaping @Sendable (JobOrder) -> JobResult
    ) throws(BenchError) -> BenchReport {
        let gate = try JobGate()
        let results = Slot<[JobResult]>([])
        var threads: [JobThread] = []
        var failure: BenchError?
        for number in 0..<plan.jobs {
            let order = JobOrder(
                number: number, plan: plan, target: target, isLaidOut: isLaidOut, gate: gate)
            do throws(BenchError) {
                threads.append(
                    try JobThread {
                        let result = job(order)
                        results.update { $0.append(result) }
                    })
            } catch {
                failure = error
                gate.stop()
                break
            }
        }
        wait(gate, threads.count, nil, seconds: 0)
        let before = Self.cpuMicroseconds
        gate.release(threads.count, at: .prepared)
        wait(gate, threads.count, .measuring, seconds: plan.runtimeSeconds)
        let cpu = Self.cpuMicroseconds - before
        gate.release(threads.count, at: .measured)
        wait(gate, threads.count, .checking, seconds: 0)
        gate.release(threads.count, at: .checked)
        for thread in threads { thread.join() }
        if let failure = failure ?? results.get().compactMap(\.failure).first { throw failure }
        return BenchReport(plan, target, results.get(), cpuMicroseconds: cpu)
    }

    /// Waits for the jobs and says how far they are; nil: nobody wants to know.
    private func wait(
        _ gate: JobGate, _ count: Int, _ phase: BenchProgress.Phase?, seconds: Double
    ) {
        guard let onTick, let phase else {
            return gate.waitForArrivals(count, interval: nil) {}
        }
        let start = IOInstant.monotonic()
        var last = (time: start, count: gate.finishedCount)
        gate.waitForArrivals(count, interval: Self.tick) {
            let now = (time: IOInstant.monotonic(), count: gate.finishedCount)
            let passed = Double(max(1, now.time.nanoseconds(since: last.time))) / 1e9
            let left = seconds - Double(now.time.nanoseconds(since: start)) / 1e9
            onTick(
                BenchProgress(
                    phase: phase, operationsPerSecond: Double(now.count - last.count) / passed,
                    secondsLeft: max(0, left)))
            last = now
        }
    }

    /// User and system time of the process so far.
    private static var cpuMicroseconds: Double {
        var usage = rusage()
        guard unsafe getrusage(RUSAGE_SELF.rawValue, &usage) == 0 else { return 0 }
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        return Double(seconds) * 1e6 + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }
}

/// A value that threads hand over.
private final class Slot<Value: Sendable>: Sendable {
    private let value: LockedValue<Value>
    init(_ value: Value) { self.value = LockedValue(value) }
    func get() -> Value { value.withLock { $0 } }
    func set(_ new: Value) { value.withLock { $0 = new } }
    func update(_ body: (inout Value) -> Void) { value.withLock { body(&$0) } }
}
