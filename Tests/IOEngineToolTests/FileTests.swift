import Foundation
import IOEngineBench
import IOEngineCore
import SystemPackage
import Testing
import ToyDriver

/// What the benchmark does to files, and what it says of them.
struct FileTests {
    @Test func aMissingPathIsMadeAndKept() throws {
        let directory = try Directory()
        var plan = BenchPlan.small(.randread, seed: 1)
        plan.path = directory.path("new")
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.fileState == .unwritten)
        let size = try FileManager.default.attributesOfItem(atPath: plan.path!)[.size] as? Int
        #expect(size == plan.size)
    }

    /// Which half is written, and what that makes the file.
    @Test(arguments: [
        ([], FileState.unwritten), ([0], .partlyWritten), ([1], .partlyWritten),
        ([0, 1], .written),
    ])
    func theStateOfAFileIsFoundOut(_ halves: [Int], _ state: FileState) throws {
        let directory = try Directory()
        var plan = BenchPlan.small(.read, seed: 1)
        plan.path = directory.path("file")
        let file = try FileDescriptor.open(
            FilePath(plan.path!), .readWrite, options: .create, permissions: .ownerReadWrite)
        defer { try? file.close() }
        try file.resize(to: Int64(plan.size))
        let half = [UInt8](repeating: 7, count: plan.size / 2)
        for i in halves { _ = try file.writeAll(toAbsoluteOffset: Int64(i * half.count), half) }
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.fileState == state)
        plan.fileState = .unwritten
        if state != .unwritten {
            #expect(throws: BenchError.self) { try BenchRunner.run(plan) { ToyDriver(depth: $0) } }
        }
    }

    @Test func anExistingFileIsNotWrittenTo() throws {
        let directory = try Directory()
        let path = directory.path("precious")
        let bytes = Data(repeating: 42, count: 1 << 20)
        try bytes.write(to: URL(fileURLWithPath: path))
        for workload in BenchPlan.Workload.allCases {
            var plan = BenchPlan.small(workload, seed: 1)
            plan.path = path
            plan.verify = !workload.writes
            plan.fileState = workload.writes ? nil : .written
            let error = #expect(throws: BenchError.self) {
                try BenchRunner.run(plan) { ToyDriver(depth: $0) }
            }
            #expect(error?.sentence.contains("--overwrite") == true)
        }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
    }

    @Test func whatIsInTheWayIsLeftAlone() throws {
        let directory = try Directory()
        // A link into nowhere looks as if the path were free.
        let path = directory.path("link")
        try FileManager.default.createSymbolicLink(
            atPath: path, withDestinationPath: directory.path("nowhere"))
        var plan = BenchPlan.small(.randwrite, seed: 1)
        plan.path = path
        #expect(throws: BenchError.self) { try BenchRunner.run(plan) { ToyDriver(depth: $0) } }
        #expect(try directory.contents == ["link"])
    }

    @Test func aFileThatCannotBeMadeLargeEnoughIsNotLeft() throws {
        let directory = try Directory()
        var plan = BenchPlan.small(.randread, seed: 1)
        plan.path = directory.path("file")
        plan.size = 1 << 62
        #expect(throws: BenchError.self) { try BenchRunner.run(plan) { ToyDriver(depth: $0) } }
        #expect(try directory.contents.isEmpty)
    }

    @Test func overwritingOnRequest() throws {
        let directory = try Directory()
        var plan = BenchPlan.small(.randrw, seed: 1)
        plan.path = directory.path("file")
        plan.verify = true
        _ = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        plan.overwrite = true
        plan.fileState = .written
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.errors == 0, "\(report.firstError ?? "")")
        #expect(report.fileState == .written)
    }

    @Test func unsuitableTargetsGetASentence() throws {
        let directory = try Directory()
        try Data(count: 4096).write(to: URL(fileURLWithPath: directory.path("short")))
        for path in [directory.url.path, "/dev/null", directory.path("short"), "/no/such/place"] {
            var plan = BenchPlan.small(.randread, seed: 1)
            plan.path = path
            let error = #expect(throws: BenchError.self) {
                try BenchRunner.run(plan) { ToyDriver(depth: $0) }
            }
            #expect(error?.sentence.contains(path) == true, "\(error.debugDescription)")
        }
    }

    @Test func aCorruptedBlockIsFound() throws {
        let directory = try Directory()
        var plan = BenchPlan.small(.read, seed: 11)
        // Fewer blocks than waits between two looks at the clock: each is read, however short the
        // time.
        plan.size = 16 * plan.blockSize
        plan.path = directory.path("file")
        plan.verify = true
        plan.fileState = .written
        #expect(try BenchRunner.run(plan) { ToyDriver(depth: $0) }.errors == 0)
        plan.fileState = nil
        #expect(try BenchRunner.run(plan) { ToyDriver(depth: $0) }.errors == 0)

        let place = Int64(5 * plan.blockSize + 512 + 100)
        let file = try FileDescriptor.open(FilePath(plan.path!), .readWrite)
        _ = try file.writeAll(toAbsoluteOffset: place, [0x55, 0xaa] as [UInt8])
        try file.close()
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.errors > 0)
        #expect(report.firstError?.contains("offset \(5 * plan.blockSize + 512)") == true)
    }

    @Test func verifyingNeedsThePattern() throws {
        let directory = try Directory()
        var plan = BenchPlan.small(.randread, seed: 1)
        plan.verify = true
        #expect(throws: BenchError.self) { try BenchRunner.run(plan) { ToyDriver(depth: $0) } }
        plan.path = directory.path("file")
        plan.fileState = .written
        _ = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        plan.fileState = nil
        plan.seed = 2
        let error = #expect(throws: BenchError.self) {
            try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        }
        #expect(error?.sentence.contains("seed 2") == true)
    }
}
