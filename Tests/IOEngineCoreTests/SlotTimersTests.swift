import TestSupport
import Testing

@testable import IOEngineCore

@Suite struct SlotTimersTests {
    @Test func nothingIsDueWhereNothingWasSet() {
        var timers = SlotTimers(depth: 1)
        #expect(timers.isEmpty && timers.earliest == .max)
        timers.remove(0)
        #expect(timers.removeFirst(until: .max) == nil)
        timers.set(0, to: .max)
        #expect(timers.earliest == .max && timers.removeFirst(until: .max) == 0)
        timers.set(0, to: .min)
        #expect(timers.removeFirst(until: .min) == 0 && timers.isEmpty)
    }

    @Test func aTimeThatIsSetAgainReplacesTheFormer() {
        var timers = SlotTimers(depth: 3)
        for slot: UInt32 in 0..<3 { timers.set(slot, to: 10 + Int64(slot)) }
        timers.set(0, to: 50)
        timers.set(2, to: 1)
        #expect(timers.count == 3)
        #expect(timers.removeFirst(until: 0) == nil)
        #expect(timers.removeFirst(until: 49) == 2)
        #expect(timers.removeFirst(until: 49) == 1)
        #expect(timers.removeFirst(until: 49) == nil)
        #expect(timers.removeFirst(until: 50) == 0)
    }

    /// Against a dictionary that is searched.
    @Test func randomChangesAgainstASortedModel() {
        var random = SeededRandom()
        for _ in 0..<200 {
            let depth = Int.random(in: 1...40, using: &random)
            var timers = SlotTimers(depth: depth)
            var model: [UInt32: Int64] = [:]
            for _ in 0..<200 {
                let slot = UInt32.random(in: 0..<UInt32(depth), using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0, 1:
                    // Few different times, so that many are equal.
                    let time = Int64.random(in: 0..<30, using: &random)
                    timers.set(slot, to: time)
                    model[slot] = time
                case 2:
                    timers.remove(slot)
                    model[slot] = nil
                default:
                    let now = Int64.random(in: -1..<31, using: &random)
                    let earliest = model.values.min() ?? .max
                    let removed = timers.removeFirst(until: now)
                    #expect((removed != nil) == (earliest <= now), "\(random.note)")
                    if let removed { #expect(model[removed] == earliest, "\(random.note)") }
                    if let removed { model[removed] = nil }
                }
                #expect(timers.count == model.count, "\(random.note)")
                #expect(timers.earliest == model.values.min() ?? .max, "\(random.note)")
            }
            var last = Int64.min
            while let slot = timers.removeFirst(until: .max) {
                let time = model.removeValue(forKey: slot) ?? .min
                #expect(time >= last, "\(random.note)")
                last = time
            }
            #expect(model.isEmpty, "\(random.note)")
        }
    }
}
