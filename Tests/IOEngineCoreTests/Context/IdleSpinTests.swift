import Testing

@testable import IOEngineCore

/// How long an idle thread looks for work: as long as that pays.
@Suite struct IdleSpinTests {
    /// Goes idle so often, each time for `sleep` nanoseconds, and counts nanoseconds of looking.
    private func look(
        _ times: Int, _ spin: inout IdleSpin, sleep: Int64, finds: (Int) -> Bool
    ) -> Int64 {
        var looked: Int64 = 0
        for turn in 0..<times {
            if spin.isWorthIt {
                if finds(turn) {
                    spin.succeeded()
                    continue
                }
                looked += spin.budget
                spin.failed()
            }
            spin.noteSleep(sleep)
        }
        return looked
    }

    @Test("where looks find nothing, next to no time is spent on them, however short the sleeps")
    func oneProcessor() {
        var spin = IdleSpin(maximum: 25_000)
        let looked = look(100_000, &spin, sleep: 5000) { _ in false }
        #expect(looked / 100_000 < 10, "\(looked / 100_000) ns each time")
    }

    @Test("where looks find something, none is cut short")
    func busy() {
        var spin = IdleSpin(maximum: 25_000)
        #expect(look(1000, &spin, sleep: 0) { _ in true } == 0)
        #expect(spin.budget == 25_000)
    }

    @Test("when looks begin to pay again, they come back after few sleeps")
    func change() {
        var spin = IdleSpin(maximum: 25_000)
        _ = look(100_000, &spin, sleep: 5000) { _ in false }
        var sleeps = 0
        while !spin.isWorthIt, sleeps < 10_000 {
            spin.noteSleep(5000)
            sleeps += 1
        }
        #expect(sleeps <= 4096)
        spin.succeeded()
        #expect(spin.isWorthIt && spin.pause == IdleSpin.leastPause)
    }

    @Test("long sleeps are no reason for a trial, and without a maximum there is none")
    func longSleeps() {
        var spin = IdleSpin(maximum: 25_000)
        let looked = look(100_000, &spin, sleep: 1_000_000) { _ in false }
        #expect(looked < 50_000)
        var none = IdleSpin(maximum: 0)
        #expect(look(100_000, &none, sleep: 0) { _ in false } == 0)
    }
}
