internal import IOEngineBench

/// A report for people.
enum ReportTable {
    static func text(_ report: BenchReport) -> String {
        var lines = table(
            header: [
                "driver", "mode", "rw", "bs", "depth", "jobs", "IOPS", "MiB/s", "us CPU/IO",
                "calls/1k IO", "short", "errors",
            ],
            row: [
                report.driver, report.mode.rawValue, report.workload.rawValue,
                ByteCount.text(report.blockSizeBytes), String(report.depth), String(report.jobs),
                Number.grouped(report.iops),
                Number.fixed(report.bytesPerSecond / 1_048_576, 1),
                Number.fixed(report.cpuMicrosPerIO, 3),
                Number.fixed(report.systemCallsPerThousandIOs, 1),
                String(report.shortTransfers), String(report.errors),
            ])
        if let latency = report.latencyNanoseconds {
            lines.append("")
            lines += table(
                header: ["latency us", "mean", "p50", "p90", "p99", "p99.9", "max"],
                row: ["", micros(latency.mean)]
                    + [latency.p50, latency.p90, latency.p99, latency.p999, latency.max]
                    .map { micros(Double($0)) })
        }
        lines.append("")
        let how = report.isDirect ? "direct" : "buffered"
        let what =
            report.fileState == .device ? "block device" : "file \(report.fileState.rawValue)"
        lines.append("measured: \(how), \(what); \(report.explanation)")
        lines.append("set-up:   \(report.setUp)")
        for note in report.notes { lines.append("note:     \(note)") }
        return lines.joined(separator: "\n")
    }

    private static func micros(_ nanoseconds: Double) -> String {
        Number.fixed(nanoseconds / 1000, 1)
    }

    /// Two aligned lines: words to the left, numbers to the right.
    private static func table(header: [String], row: [String]) -> [String] {
        var lines = ["", ""]
        for (title, value) in zip(header, row) {
            let width = max(title.count, value.count)
            let isNumber = value.first?.isNumber ?? false
            for (i, text) in [title, value].enumerated() {
                let gap = String(repeating: " ", count: width - text.count)
                lines[i] += (lines[i].isEmpty ? "" : "  ") + (isNumber ? gap + text : text + gap)
            }
        }
        return lines
    }
}
