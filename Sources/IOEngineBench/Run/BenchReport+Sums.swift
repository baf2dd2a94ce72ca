internal import IOEngineCore

extension BenchReport {
    /// Adds the jobs up.
    init(
        _ plan: BenchPlan, _ target: BenchTarget, _ results: [JobResult], cpuMicroseconds: Double
    ) {
        self.init(plan, target)
        var systemCalls: UInt64 = 0
        var latencies: IOLatencies?
        var bytes: UInt64 = 0
        for result in results {
            operations += result.operations
            bytes += result.bytes
            systemCalls += result.systemCalls
            shortTransfers += result.shortTransfers
            errors += result.errors
            firstError = firstError ?? result.firstError
            driver = result.driverName
            setUp = result.setUp
            for note in result.notes where !notes.contains(note) { notes.append(note) }
            guard let more = result.latencies else { continue }
            if latencies == nil { latencies = more } else { latencies?.add(more) }
        }
        // From the first that began to the last that ended: more jobs than processors take turns, and the
        // sum of their rates would be more than there ever was.
        let began = results.filter { $0.startNanoseconds > 0 }
        let start = began.map(\.startNanoseconds).min() ?? 0
        let end = began.map { $0.startNanoseconds + $0.elapsedNanoseconds }.max() ?? 1
        let seconds = Double(max(1, end - start)) / 1e9
        iops = Double(operations) / seconds
        bytesPerSecond = Double(bytes) / seconds
        let count = Double(max(1, operations))
        cpuMicrosPerIO = cpuMicroseconds / count
        systemCallsPerThousandIOs = Double(systemCalls) * 1000 / count
        latencyNanoseconds = latencies.map {
            Latency(
                mean: $0.mean, p50: $0.percentile(50), p90: $0.percentile(90),
                p99: $0.percentile(99), p999: $0.percentile(99.9), max: $0.max)
        }
    }
}
