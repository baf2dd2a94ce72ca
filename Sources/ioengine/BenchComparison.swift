internal import Glibc
internal import IOEngine
internal import IOEngineBench
internal import SystemPackage

/// What was measured of one driver or of several, in the order of their rows.
struct BenchComparison {
    enum Row {
        case measured(BenchReport)
        /// It does not work here.
        case refused(DriverReport.Attempt)
    }

    var rows: [Row] = []
    /// What a comparison has to say beside what each report says.
    private(set) var remarks: [String] = []

    init() {}

    init(only report: BenchReport) {
        rows = [.measured(report)]
        guard let kind = DriverKind(rawValue: report.driver),
            let advice = kind.advice(for: report.facts)
        else { return }
        remarks = ["\(advice); --driver all compares them"]
    }

    var reports: [BenchReport] {
        rows.compactMap { if case .measured(let report) = $0 { report } else { nil } }
    }

    var refusals: [DriverReport.Attempt] {
        rows.compactMap { if case .refused(let attempt) = $0 { attempt } else { nil } }
    }

    /// A sentence each, none twice.
    var notes: [String] {
        var all: [String] = []
        for note in reports.flatMap(\.notes) + remarks where !all.contains(note) {
            all.append(note)
        }
        return all
    }
}

extension BenchComparison {
    /// Measures every driver in turn. One that does not work here is a row as well.
    static func run(
        _ plan: BenchPlan, _ measure: (BenchCommand.Driver, BenchPlan) throws -> BenchReport
    ) throws -> BenchComparison {
        var comparison = BenchComparison()
        var plan = plan
        for kind in DriverKind.allCases {
            if let refusal = refusal(of: kind, depth: plan.depth) {
                comparison.rows.append(.refused(refusal))
                continue
            }
            comparison.remake(&plan)
            let driver =
                switch kind {
                case .uring: BenchCommand.Driver.uring
                case .aio: BenchCommand.Driver.aio
                case .threads: BenchCommand.Driver.threads
                }
            do {
                comparison.rows.append(.measured(try measure(driver, plan)))
            } catch let error as BenchError {
                // One of several jobs finds less than the first look did; what is measured stays.
                guard let refusal = error.setUpError else { throw error }
                comparison.rows.append(.refused(.init(refused: kind, refusal)))
            }
        }
        comparison.remark()
        return comparison
    }

    private static func refusal(of kind: DriverKind, depth: Int) -> DriverReport.Attempt? {
        let configuration = SystemDriverConfiguration(choice: .only(kind), logger: nil)
        // Only an environment variable makes it throw, and the choice is the program's here.
        let report = try? DriverReport.probing(depth: depth, configuration: configuration)
        return report?.attempts.first { !$0.isGranted }
    }

    /// A file that did not exist before the first driver is made anew for the next, where it was written to:
    /// each finds the same.
    private func remake(_ plan: inout BenchPlan) {
        guard plan.workload.writes || plan.fileState == .written, let path = plan.path,
            reports.last?.madeFile == true
        else { return }
        unsafe unlink(path)
    }

    /// How much better another driver must be for advice: less is noise or taste.
    private static let worthMentioning = 1.5

    /// What only a comparison can tell.
    private mutating func remark() {
        for refusal in refusals {
            remarks.append("\(refusal.driver.rawValue) is left out: \(refusal.advice)")
        }
        if Set(reports.map(\.fileState)).count > 1 {
            remarks.append(
                "the drivers did not find the file in the same state ("
                    + reports.map { "\($0.driver): \($0.fileState.rawValue)" }
                    .joined(separator: ", ")
                    + "), so the rows do not compare; give --file-state written")
        }
        for report in reports {
            guard let kind = DriverKind(rawValue: report.driver),
                let advice = kind.advice(for: report.facts),
                let best = reports.max(by: { $0.iops < $1.iops }), report.iops > 0,
                best.iops >= Self.worthMentioning * report.iops
            else { continue }
            let times = Number.fixed(best.iops / report.iops, 1)
            remarks.append(
                "\(best.driver) does \(times) times the IOs of \(report.driver) here: \(advice)")
        }
    }
}

extension BenchComparison {
    /// For people.
    var table: String { ReportTable.text(self) }

    /// For scripts: an object for one driver, an array for several.
    func json() throws -> String {
        if rows.count == 1, case .measured(let report) = rows[0] {
            return try ReportJSON.text(report)
        }
        return try ReportJSON.text(rows)
    }
}

extension BenchComparison.Row: Encodable {
    private enum Keys: String, CodingKey { case driver, refused }
    private enum RefusalKeys: String, CodingKey { case errno, advice }

    func encode(to encoder: any Encoder) throws {
        switch self {
        case .measured(let report): try report.encode(to: encoder)
        case .refused(let attempt):
            var fields = encoder.container(keyedBy: Keys.self)
            try fields.encode(attempt.driver.rawValue, forKey: .driver)
            var refusal = fields.nestedContainer(keyedBy: RefusalKeys.self, forKey: .refused)
            try refusal.encode(attempt.error?.errno.rawValue, forKey: .errno)
            try refusal.encode(attempt.advice, forKey: .advice)
        }
    }
}
