import BasicContainers
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// What waits behind other things, and must not wait for ever.
@Suite struct WaitingTests {
    @Test("drains that wait behind one another all end")
    func drains() throws {
        let context = try TestContext.make(depth: 4, try .with(workers: 1))
        let block = try Blocked(context)
        let ended = Latch(3)
        let threads = try (0..<3).map { _ in
            try TestThread {
                _ = try? context.drain()
                ended.countDown()
            }
        }
        // The letters of most are read by now, whatever the scheduler does: each of these is one too.
        for _ in 0..<1000 { _ = context.snapshot() }
        block.release()
        #expect(ended.wait(), "\(ended.remaining) drains are left, and nothing is in flight")
        // Ends those that are left.
        context.shutdown()
        for thread in threads { thread.join() }
    }

    @Test("a length beyond all bounds is refused in its turn, in a chain that waits for bytes too")
    func hugeChain() throws {
        var configuration = try IOContextConfiguration.with()
        configuration.maximumBytesInFlight = 8192
        let file = try newFile()
        let context = try TestContext.make(depth: 8, configuration)
        let outcomes = Outcomes(4)
        let block = try Blocked(context)
        // In flight while the chain is looked at.
        try context.give(
            .write(file, from: IOBuffer(zeroed: 4096), at: 0, callback: outcomes.callback(0)))
        let chain = batch(3) { i in
            i == 0
                ? .noOperation(callback: outcomes.callback(1))
                : .read(
                    file, into: IOBuffer(capacity: 4096), at: 0, range: 0..<Int.max,
                    callback: outcomes.callback(i + 1))
        }
        #expect(context.submit(chain: chain).name == "accepted")
        block.release()
        let ends = try outcomes.all().sorted { $0.number < $1.number }
        #expect(ends[0].outcome.bytes == 4096 && ends[1].outcome.error == nil)
        #expect(ends[2].outcome.error?.errno == .invalidArgument)
        #expect(ends[3].outcome.error?.reason == .chainBroken)
        context.shutdown()
    }
}
