import Foundation
import IOEngineCopy
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing
import ToyDriver

/// What the tests of copying do to files.
enum Files {
    /// Writes random bytes at these places, holes elsewhere.
    static func make(
        _ path: String, size: Int, data: [Range<Int>]? = nil, using random: inout SeededRandom
    ) throws {
        let file = try FileDescriptor.open(
            FilePath(path), .writeOnly, options: [.create, .truncate],
            permissions: [.ownerReadWrite, .groupRead])
        defer { try? file.close() }
        let bytes = RandomBytes(count: 1 << 20 + 4096, using: &random)
        for run in data ?? [0..<size] {
            var position = run.lowerBound
            while position < run.upperBound {
                let some = bytes.some(min(1 << 20, run.upperBound - position), using: &random)
                position += try file.writeAll(toAbsoluteOffset: Int64(position), some)
            }
        }
        try file.resize(to: Int64(size))
    }

    static func write(_ text: String, to path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    static func text(of path: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
    }

    static func areEqual(_ a: String, _ b: String) -> Bool {
        FileManager.default.contentsEqual(atPath: a, andPath: b)
    }

    static func status(_ path: String) throws -> stat {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw Errno(rawValue: errno) }
        return status
    }

    static func permissions(_ path: String) throws -> mode_t {
        try status(path).st_mode & 0o7777
    }

    /// Where the file system says that data is, in bytes.
    static func data(of path: String) throws -> [Range<Int64>] {
        let file = try FileDescriptor.open(FilePath(path), .readOnly)
        defer { try? file.close() }
        var runs: [Range<Int64>] = []
        var position: Int64 = 0
        let (seekData, seekHole): (Int32, Int32) = (3, 4)
        while true {
            let start = lseek(file.rawValue, off_t(position), seekData)
            if start < 0 { return runs }
            let end = lseek(file.rawValue, start, seekHole)
            runs.append(Int64(start)..<Int64(end))
            position = Int64(end)
        }
    }
}

/// A source, a destination and a directory in which nothing else may be afterwards.
struct CopyFixture {
    let directory: Directory
    var plan: CopyPlan

    var source: String { plan.source }
    var destination: String { plan.destination }

    /// - Parameter folder: Where; nil: where temporary files belong.
    init(in folder: String? = nil, named name: String = "copy") throws {
        directory = try Directory(in: folder)
        plan = CopyPlan(source: directory.path("source"), destination: directory.path(name))
        plan.depth = 4
        plan.blockSize = 16 << 10
    }

    /// Everything in the directory but the source.
    var others: [String] {
        get throws { try directory.contents.filter { $0 != "source" }.sorted() }
    }

    @discardableResult
    func run(
        _ hooks: HookedDriver.Hooks = .init(), interruption: CopyInterruption = .init(),
        onTick: ((CopyProgress) -> Void)? = nil
    ) throws -> CopyReport {
        try CopyRunner.run(plan, interruption: interruption, onTick: onTick) {
            HookedDriver(depth: $0, hooks)
        }
    }

    @discardableResult
    func runOnKernel() throws -> CopyReport {
        try CopyRunner.run(plan) { depth throws(IOError) in try URingDriver(depth: depth) }
    }
}
