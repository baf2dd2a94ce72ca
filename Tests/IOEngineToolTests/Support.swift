import Foundation
import IOEngineBench
import IOEngineCore
import IOEngineURing
import SystemPackage

/// A directory of one test's own, gone with it.
final class Directory {
    let url: URL

    /// - Parameter parent: Nil: where temporary files belong.
    init(in parent: String? = nil) throws {
        let parent =
            parent.map { URL(fileURLWithPath: $0) } ?? FileManager.default.temporaryDirectory
        url = parent.appendingPathComponent("ioengine-tool-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { url.appendingPathComponent(name).path }

    var contents: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: url.path) }
    }
}

/// What a process that was run to its end left.
struct Finished {
    let status: Int32
    let output: String
    let complaint: String
}

enum Executable {
    /// The products lie beside the test bundle, and the bundle is what runs.
    static func url(_ name: String) -> URL {
        URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
            .deletingLastPathComponent().appendingPathComponent(name)
    }

    static func start(
        _ name: String, _ arguments: [String], in directory: Directory
    ) throws -> (process: Process, output: Pipe, complaint: Pipe) {
        let process = Process()
        process.executableURL = url(name)
        process.arguments = arguments
        process.currentDirectoryURL = directory.url
        let output = Pipe()
        let complaint = Pipe()
        process.standardOutput = output
        process.standardError = complaint
        try process.run()
        return (process, output, complaint)
    }

    static func run(
        _ name: String, _ arguments: [String] = [], in directory: Directory
    ) throws -> Finished {
        let (process, output, complaint) = try start(name, arguments, in: directory)
        // Both are short: neither pipe fills up while the other is read.
        let outputData = try output.fileHandleForReading.readToEnd() ?? Data()
        let complaintData = try complaint.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Finished(
            status: process.terminationStatus,
            output: String(decoding: outputData, as: UTF8.self),
            complaint: String(decoding: complaintData, as: UTF8.self))
    }
}

enum Machine {
    /// Why the tests of the built tool are skipped, when they are.
    static let needsURing = "needs io_uring, which this machine does not grant"
    static let hasURing = (try? URingDriver(depth: 1)) != nil
}

extension BenchPlan {
    /// Small and short; buffered, so that it works on every file system.
    static func small(_ workload: Workload, seed: UInt64) -> BenchPlan {
        var plan = BenchPlan()
        plan.workload = workload
        plan.size = 1 << 20
        plan.depth = 8
        plan.runtimeSeconds = 0.02
        plan.direct = false
        plan.seed = seed
        return plan
    }
}
