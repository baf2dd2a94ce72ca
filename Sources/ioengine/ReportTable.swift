internal import IOEngineBench

/// A report for people: a row for each driver.
enum ReportTable {
    static func text(_ comparison: BenchComparison) -> String {
        let reports = comparison.reports
        var lines = table(
            header: [
                "driver", "mode", "rw", "bs", "depth", "jobs", "IOPS", "MiB/s", "us CPU/IO",
                "calls/1k IO", "short", "errors",
            ],
            rows: reports.map(rates))
        let latencies = reports.compactMap { report in
            report.latencyNanoseconds.map { (report.driver, $0) }
        }
        if !latencies.isEmpty {
            let isAlone = reports.count == 1
            lines.append("")
            lines += table(
                header: ["latency us", "mean", "p50", "p90", "p99", "p99.9", "max"],
                rows: latencies.map { driver, latency in
                    [isAlone ? "" : driver, micros(latency.mean)]
                        + [latency.p50, latency.p90, latency.p99, latency.p999, latency.max]
                        .map { micros(Double($0)) }
                })
        }
        lines.append("")
        lines += described("measured:", reports, measured)
        lines += described("set-up:  ", reports, \.setUp)
        for note in comparison.notes { lines.append("note:     \(note)") }
        return lines.joined(separator: "\n")
    }

    private static func rates(_ report: BenchReport) -> [String] {
        [
            report.driver, report.mode.rawValue, report.workload.rawValue,
            ByteCount.text(report.blockSizeBytes), String(report.depth), String(report.jobs),
            Number.grouped(report.iops),
            Number.fixed(report.bytesPerSecond / 1_048_576, 1),
            Number.fixed(report.cpuMicrosPerIO, 3),
            Number.fixed(report.systemCallsPerThousandIOs, 1),
            String(report.shortTransfers), String(report.errors),
        ]
    }

    private static func measured(_ report: BenchReport) -> String {
        let how = report.isDirect ? "direct" : "buffered"
        let what =
            report.fileState == .device ? "block device" : "file \(report.fileState.rawValue)"
        return "\(how), \(what); \(report.explanation)"
    }

    /// A line for all where they say the same, else one for each.
    private static func described(
        _ title: String, _ reports: [BenchReport], _ text: (BenchReport) -> String
    ) -> [String] {
        let texts = reports.map(text)
        if let first = texts.first, texts.allSatisfy({ $0 == first }) {
            return ["\(title) \(first)"]
        }
        return zip(reports, texts).map { "\(title) \($0.driver): \($1)" }
    }

    private static func micros(_ nanoseconds: Double) -> String {
        Number.fixed(nanoseconds / 1000, 1)
    }

    /// Aligned lines: words to the left, numbers to the right.
    private static func table(header: [String], rows: [[String]]) -> [String] {
        let columns = header.indices.map { column in
            (
                width: ([header] + rows).map { $0[column].count }.max() ?? 0,
                isNumber: rows.contains { $0[column].first?.isNumber ?? false }
                    && rows.allSatisfy { $0[column].first?.isNumber ?? true }
            )
        }
        return ([header] + rows).map { row in
            zip(row, columns).map { text, column in
                let gap = String(repeating: " ", count: column.width - text.count)
                return column.isNumber ? gap + text : text + gap
            }.joined(separator: "  ")
        }
    }
}
