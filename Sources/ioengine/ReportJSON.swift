internal import FoundationEssentials
internal import IOEngineBench

/// A report for scripts: one object, its keys in alphabetical order, so that two reports compare.
enum ReportJSON {
    static func text(_ report: BenchReport) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }
}
