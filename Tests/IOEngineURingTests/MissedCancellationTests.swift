import IOEngineCore
import IOEngineURing
import TestSupport
import Testing

/// Cancellations that the kernel has nothing to do with any more.
@Suite struct MissedCancellationTests {
    @Test("cancelling what was reaped and not looked at leaves nothing that ticks")
    func reaped() throws {
        var loop = try IOLoop<NoCallback, URingDriver>(
            depth: 4, driver: try URingDriver(depth: 4))
        var tickets: [IOTicket] = []
        for _ in 0..<2 {
            if case .accepted(let ticket) = loop.submit(.noOperation()) { tickets.append(ticket) }
        }
        _ = loop.wait(minimum: 2)
        // Reaps both, and hands one over.
        _ = loop.next()
        let answers = [loop.cancel(tickets[0]), loop.cancel(tickets[1])]
        #expect(!answers.contains(.requested))
        while loop.next() != nil {}
        let before = loop.statistics.systemCalls
        loop.waitForAnything(deadline: loop.now.advanced(by: .milliseconds(300)))
        #expect(loop.statistics.systemCalls - before <= 2, "the loop did not sleep")
    }

    @Test("cancelling what the driver has finished leaves nothing that ticks")
    func finished() throws {
        var driver = try URingDriver(depth: 4)
        let token = IOToken(slot: 1, generation: 1)
        try driver.mustStage(unsafe IORequest(token: token, action: .noOperation))
        _ = driver.submit(minimum: 1, deadline: nil)
        // Completed, and not reaped.
        driver.cancel(token)
        let count = driver.finished().count
        #expect(count == 1)
        _ = driver.submit(minimum: 0, deadline: nil)
        _ = driver.finished()
        let before = driver.counters.systemCalls
        _ = driver.submit(
            minimum: 1, deadline: driver.now().advanced(by: .milliseconds(300)))
        #expect(driver.counters.systemCalls - before <= 3, "the driver did not sleep")
    }
}
