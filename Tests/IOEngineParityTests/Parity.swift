import IOEngineAIO
import IOEngineCore
import IOEngineThreads
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// Performs the same steps on every driver, each on a file of its own, and compares what they left behind.
struct Parity {
    let fileSystem: TestFileSystem
    /// What the file holds before.
    var content: [UInt8] = pattern(5000)
    /// The page cache holds nothing of it.
    var isCold = false
    var depth = 32

    init(_ name: String) throws { fileSystem = try #require(TestFileSystem.named(name)) }

    /// The transcript that all drivers agree on. Where they do not, an issue says about what.
    @discardableResult
    func compare(_ groups: [[Step]]) throws -> Transcript {
        let reference = try run(groups) { try ThreadPoolDriver(depth: $0) }
        expect(
            try run(groups) { depth in try AIOLimit.unchanged { try AIODriver(depth: depth) } },
            "aio", equals: reference)
        if Self.hasURing {
            expect(try run(groups) { try URingDriver(depth: $0) }, "uring", equals: reference)
        }
        return reference
    }

    /// The same, and each step answers as said: bytes, or a negative errno.
    func expect(_ groups: [[(Step, Int32)]]) throws {
        let transcript = try compare(groups.map { $0.map(\.0) })
        for (line, (step, answer)) in zip(transcript.lines, groups.flatMap { $0 }) {
            let wanted = answer < 0 ? "\(step): errno \(-answer)," : "\(step): \(answer) bytes,"
            #expect(line.hasPrefix(wanted), "wanted \(answer): \(line)")
        }
    }

    private func run<Driver: IODriver & ~Copyable>(
        _ groups: [[Step]], _ make: (Int) throws -> Driver
    ) throws -> Transcript {
        let targets = try Targets(on: fileSystem, content: content)
        if isCold { targets.dropCache() }
        var performer = try Performer(try make(depth), depth: depth, targets)
        var transcript = Transcript()
        transcript.lines = try performer.perform(groups)
        transcript.content = try targets.content()
        transcript.size = try targets.size()
        transcript.bytesInPipe = targets.bytesInPipe
        return transcript
    }

    private func expect(_ found: Transcript, _ driver: String, equals wanted: Transcript) {
        for (line, other) in zip(found.lines, wanted.lines) where line != other {
            Issue.record("on \(fileSystem) \(driver) says\n  \(line)\nand threads\n  \(other)")
        }
        #expect(found.lines.count == wanted.lines.count)
        #expect(found.bytesInPipe == wanted.bytesInPipe)
        #expect(found.size == wanted.size)
        if found.content == wanted.content { return }
        let place = zip(found.content, wanted.content).enumerated()
            .first { $0.element.0 != $0.element.1 }?.offset
        Issue.record(
            """
            on \(fileSystem) the file differs after \(driver): \(found.content.count) bytes instead of \
            \(wanted.content.count), at \(place ?? min(found.content.count, wanted.content.count))
            """)
    }

    /// Whether this machine grants io_uring; said once.
    static let hasURing: Bool = {
        do {
            _ = try URingDriver(depth: 1).capabilities
            return true
        } catch {
            print("skipped: io_uring is not compared: \(error)")
            return false
        }
    }()
}
