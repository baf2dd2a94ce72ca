import IOEngineCore
import Testing

@testable import IOEngineURing

@Suite struct RingTests {
    /// A ring whose completion queue is smaller than what is put through it.
    func makeRing(entries: UInt32, completions: UInt32) throws -> Ring {
        var parameters = URingParameters()
        parameters.flags =
            URingConstants.setUpCompletionQueueSize | URingConstants.setUpSubmitAll
        parameters.completionEntries = completions
        return try Ring(entries: entries, parameters: &parameters)
    }

    @Test func completionsThatOverflowTheQueueAreNotLost() throws {
        var ring = try makeRing(entries: 4, completions: 8)
        var sent: UInt64 = 0
        var seen: Set<UInt64> = []
        while sent < 40 {
            while sent < 40, let entry = unsafe ring.nextEntry() {
                unsafe entry.pointee = URingEntry(.nothing)
                unsafe entry.pointee.userData = sent
                sent += 1
            }
            _ = ring.enter(minimum: 0, timeout: nil)
        }
        #expect(ring.hasOverflown == true)
        for _ in 0..<100 where seen.count < 40 {
            let ready = ring.ready
            for index in 0..<ready { seen.insert(unsafe ring.completion(index).pointee.userData) }
            ring.advance(ready)
            _ = ring.enter(minimum: 0, timeout: nil)
        }
        #expect(seen == Set(0..<40))
        #expect(ring.hasOverflown == false)
        ring.close()
    }

    @Test func aFullSubmissionQueueHasNoEntryUntilItIsSubmitted() throws {
        var ring = try makeRing(entries: 4, completions: 8)
        for _ in 0..<4 {
            let entry = unsafe ring.nextEntry()
            unsafe entry?.pointee = URingEntry(.nothing)
        }
        #expect(unsafe ring.nextEntry() == nil)
        #expect(ring.unsubmitted == 4)
        #expect(ring.enter(minimum: 4, timeout: nil) == 4)
        #expect(ring.unsubmitted == 0 && ring.ready == 4)
        #expect(unsafe ring.nextEntry() != nil)
        ring.advance(4)
        ring.close()
    }

    @Test func nothingToDoCostsNoSystemCall() throws {
        var ring = try makeRing(entries: 4, completions: 8)
        let before = ring.systemCalls
        for _ in 0..<10 { #expect(ring.enter(minimum: 0, timeout: nil) == 0) }
        #expect(ring.systemCalls == before)
        ring.close()
    }

    @Test func aWaitEndsWithItsTimeout() throws {
        var ring = try makeRing(entries: 4, completions: 8)
        // ETIME; a signal may come between.
        let answer = ring.enter(minimum: 1, timeout: 1_000_000)
        #expect(answer == -62 || answer == -4)
        ring.close()
    }
}
