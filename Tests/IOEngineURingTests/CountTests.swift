import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// What IO costs, in numbers that do not depend on the machine's speed.
@Suite struct CountTests {
    @Test("a thousand direct reads at depth 32 take at most 40 system calls")
    func systemCalls() throws {
        let blocks = 1024
        let file = try openNew(TemporaryFolder.newPath("count"), direct: true)
        var loop = try PulledLoop.make(depth: 32)
        let allocated = try loop.perform(.allocate(file, at: 0, length: blocks * 4096)).outcome
        #expect(allocated.error == nil)
        // The extents are on the device before the reads are counted.
        let synced = try loop.perform(.sync(file)).outcome
        #expect(synced.error == nil)

        var random = SeededRandom()
        var reads = 0
        var wrong = 0
        let before = loop.statistics
        for _ in 0..<32 {
            let offset = Int64.random(in: 0..<Int64(blocks), using: &random) * 4096
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: offset))
        }
        while reads < 8000 {
            _ = loop.wait(minimum: 32)
            loop.forEachFinished { event in
                reads += 1
                if event.errno != nil || event.transferred != 4096 { wrong += 1 }
                event.restart(at: Int64.random(in: 0..<Int64(blocks), using: &random) * 4096)
                return .submitAgain
            }
        }
        let calls = loop.statistics.systemCalls - before.systemCalls
        #expect(wrong == 0, "\(random.note)")
        #expect(
            Int(calls) * 1000 <= 40 * reads, "\(calls) calls for \(reads) reads; \(random.note)")
        let full = loop.statistics.fullQueues
        #expect(full == 0)
    }
}
