internal import IOEngineCore

extension BenchReport {
    /// Adds the jobs up.
    init(
        _ plan: BenchPlan, _ target: BenchTarget, _ results: [JobResult], cpuMicroseconds: Double
    ) {
        self.init(plan, target)
        var systemCalls: UInt64 = 0
        var latencies: IOLatencies?
        for result in results {
            let seconds = Double(result.elapsedNanoseconds) / 1e9
            operations += result.operations
            iops += Double(result.operations) / seconds
            bytesPerSecond += Double(result.bytes) / seconds
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
