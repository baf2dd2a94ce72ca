import BasicContainers
import Foundation
import IOEngineCore
import IOEngineMerge
import IOEngineURing
import SystemPackage
import Testing

/// The samples of DocsSource/Merging.md, word for word; a test compares the two.
@Suite(.enabled(if: OracleTests.hasURing, ContractTests.needsURing))
struct DocumentationTests {
    private func open() throws -> IODescriptor {
        let path = "/tmp/ioengine-merging-\(UUID().uuidString)"
        let file = try IODescriptor.open(
            FilePath(path), .readWrite, options: [.create, .exclusiveCreate])
        try FileManager.default.removeItem(atPath: path)
        return file
    }

    @Test func aLoop() throws {
        let file = try open()
        var loop = try IOLoop<NoCallback, MergingDriver<URingDriver>>(
            depth: 32, driver: MergingDriver(try URingDriver(depth: 32)))
        for page in 0..<32 {
            _ = loop.submit(.write(file, from: IOBuffer(zeroed: 4096), at: Int64(page * 4096)))
        }
        while loop.inFlight > 0 {
            _ = loop.wait()
            while let event = loop.next() { _ = try event.get() }
        }
        let statistics = loop.withDriver { $0.statistics }
        #expect(statistics.requestsIn == 32 && statistics.requestsOut == 1)
    }

    @Test func batches() throws {
        let file = try open()
        let context = try IOContext<ClosureCallback, MergingDriver<URingDriver>>(depth: 64) {
            () throws(IOError) in
            MergingDriver(try URingDriver(depth: 64))
        }
        do {
            var log = MergeSubmitter<ClosureCallback>(maximumBytes: 128 << 10) { batch in
                context.submit(contentsOf: &batch)
            }
            for record in 0..<64 {
                log.add(.write(file, from: IOBuffer(zeroed: 4096), at: Int64(record * 4096)))
                    .orCancel()
            }
            log.flush()
        }
        try context.drain()
        let size = try IODescriptorFacts(of: file.rawValue).size
        #expect(size == 64 * 4096)
    }

    @Test func theSamplesAreTheseTests() throws {
        let root = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(
            contentsOf: root.appendingPathComponent("DocsSource/Merging.md"), encoding: .utf8)
        let own = try String(contentsOfFile: #filePath, encoding: .utf8)
        let blocks = text.components(separatedBy: "```swift\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        #expect(blocks.count == 2)
        for block in blocks { #expect(trimmed(own).contains(trimmed(block)), "\(block)") }
    }

    /// Without indentation.
    private func trimmed(_ text: String) -> String {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .joined(separator: "\n")
    }
}
