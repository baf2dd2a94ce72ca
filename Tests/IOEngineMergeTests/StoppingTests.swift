import Glibc
import IOEngineCore
import IOEngineMerge
import TestSupport
import Testing

/// Cancelling, and holding back.
@Suite struct StoppingTests {
    static let page = 4096

    @Test func whatIsNotHandedDownIsCancelledHere() throws {
        var kit = BufferKit()
        for slot in 0..<5 { kit.add(.write, slot, at: slot * Self.page) }
        #expect(kit.buffer.cancel(kit.token(2)) == .cancelled)
        #expect(kit.buffer.cancel(kit.token(2)) == .tooLate, "it is answered already")
        #expect(kit.finished() == [2: Int(-ECANCELED)])
        #expect(pages(kit.handDown()) == [[0, 2], [3, 2]])
        #expect(kit.buffer.cancel(kit.token(2)) == nil, "no longer known")
    }

    @Test func everyStagedRequestCanBeCancelledInAnyOrder() throws {
        var random = SeededRandom()
        for _ in 0..<200 {
            var kit = BufferKit(depth: 16)
            let count = Int.random(in: 1...16, using: &random)
            for slot in 0..<count {
                kit.add(.read, slot, at: Int.random(in: 0..<20, using: &random) * Self.page)
            }
            // Half of the time something is planned already.
            if Bool.random(using: &random), kit.buffer.next() != nil { kit.buffer.putBack() }
            var left = Set(0..<count)
            for slot in (0..<count).shuffled(using: &random).prefix(count / 2 + 1) {
                #expect(kit.buffer.cancel(kit.token(slot)) == .cancelled, "\(random.note)")
                #expect(kit.finished() == [slot: Int(-ECANCELED)], "\(random.note)")
                left.remove(slot)
            }
            for request in kit.handDown() {
                kit.buffer.complete(IOCompletion(token: request.token, result: request.length))
            }
            #expect(Set(kit.finished().keys) == left, "\(random.note)")
            #expect(kit.buffer.staged == 0)
        }
    }

    @Test func partsOnTheirWayAreTooLate() throws {
        var kit = BufferKit()
        for slot in 0..<3 { kit.add(.read, slot, at: slot * Self.page) }
        kit.add(.read, 5, at: 1 << 20)
        #expect(kit.handDown().count == 2)
        for slot in 0..<3 { #expect(kit.buffer.cancel(kit.token(slot)) == .tooLate) }
        #expect(kit.buffer.cancel(kit.token(5)) == nil, "passed unchanged: the driver below knows")
        #expect(kit.buffer.cancel(IOToken(slot: 0, generation: 99)) == nil)
        #expect(kit.buffer.cancel(IOToken(slot: 60_000, generation: 7)) == nil)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: Int(-EIO)))
        #expect(kit.buffer.cancel(kit.token(1)) == .tooLate, "begun, and to be repeated")
        #expect(kit.handDown().count == 3)
        #expect(kit.buffer.cancel(kit.token(1)) == nil, "now it is on its way alone")
    }

    func waiting(depth: Int = 64, bytes: Int = 128 << 10, parts: Int = 256) -> BufferKit {
        BufferKit(
            depth: depth,
            policy: MergePolicy(
                maximumBytes: bytes, maximumParts: parts, wait: .microseconds(50),
                copiesPartsUpTo: 0))
    }

    @Test func nothingIsDueBeforeItsTime() throws {
        var kit = waiting()
        kit.add(.read, 0, at: 0)
        #expect(kit.buffer.next() == nil)
        #expect(kit.buffer.isHoldingBack && kit.buffer.dueAt == nil)
        kit.buffer.wait(from: IOInstant(nanoseconds: 1_000))
        #expect(kit.buffer.dueAt == IOInstant(nanoseconds: 51_000))
        kit.add(.read, 1, at: 4096)
        kit.buffer.wait(from: IOInstant(nanoseconds: 30_000))
        #expect(kit.buffer.dueAt == IOInstant(nanoseconds: 51_000), "the first one's time counts")
        kit.buffer.makeDue()
        #expect(!kit.buffer.isHoldingBack && kit.buffer.dueAt == nil)
        #expect(pages(kit.handDown()) == [[0, 2]])
    }

    @Test func aTimeBeyondTheClockIsItsEnd() throws {
        var kit = waiting()
        kit.add(.read, 0, at: 0)
        kit.buffer.wait(from: IOInstant(nanoseconds: .max - 5))
        #expect(kit.buffer.dueAt == IOInstant(nanoseconds: .max))
    }

    @Test func enoughForAWholeRequestIsDueAtOnce() throws {
        var kit = waiting(bytes: 16384)
        for slot in 0..<3 { kit.add(.read, slot, at: slot * Self.page) }
        #expect(kit.handDown().isEmpty)
        kit.add(.read, 3, at: 3 * Self.page)
        #expect(pages(kit.handDown()) == [[0, 4]])

        kit = waiting(parts: 3)
        for slot in 0..<2 { kit.add(.read, slot, at: slot * Self.page) }
        #expect(kit.handDown().isEmpty)
        kit.add(.read, 2, at: 2 * Self.page)
        #expect(pages(kit.handDown()) == [[0, 3]])
    }

    @Test func whenNoMoreCanComeEverythingIsDue() throws {
        var kit = waiting(depth: 4)
        kit.add(kit.request(.noOperation, 0, at: 0, 0))
        #expect(kit.handDown().count == 1)
        for slot in 1..<4 { kit.add(.read, slot, at: slot * 3 * Self.page) }
        #expect(kit.handDown().count == 3, "one place is taken by what is on its way")

        kit = waiting(depth: 4)
        for slot in 0..<3 { kit.add(.read, slot, at: slot * 3 * Self.page) }
        #expect(kit.handDown().isEmpty)
        kit.add(.read, 3, at: 100 * Self.page)
        #expect(kit.handDown().count == 4)
    }

    @Test func whatCannotBeJoinedDoesNotWait() throws {
        for action in [IOAction.syncData, .noOperation, .allocate] {
            var kit = waiting()
            kit.add(.write, 0, at: 0)
            kit.add(kit.request(action, 1, at: 0, 0))
            #expect(kit.handDown().count == 2)
            // The next one waits again.
            kit.add(.write, 2, at: 0)
            #expect(kit.handDown().isEmpty && kit.buffer.isHoldingBack)
        }
    }

    @Test func cancellingTheOnlyOneThatWaitsEndsTheWait() throws {
        var kit = waiting()
        kit.add(.read, 0, at: 0)
        kit.buffer.wait(from: IOInstant(nanoseconds: 0))
        #expect(kit.buffer.cancel(kit.token(0)) == .cancelled)
        #expect(!kit.buffer.isHoldingBack && kit.buffer.dueAt == nil)
        kit.add(.read, 1, at: 4096)
        #expect(kit.handDown().isEmpty)
        kit.buffer.wait(from: IOInstant(nanoseconds: 500))
        #expect(kit.buffer.dueAt == IOInstant(nanoseconds: 50_500))
    }
}
