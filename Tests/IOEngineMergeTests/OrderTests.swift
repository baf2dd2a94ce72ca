import IOEngineCore
import IOEngineMerge
import TestSupport
import Testing

/// What may not pass what.
@Suite struct OrderTests {
    static let page = 4096

    @Test func nothingPassesASync() throws {
        for action in [IOAction.syncData, .syncFull, .allocate] {
            var kit = BufferKit()
            kit.add(.write, 0, at: 4096)
            kit.add(.write, 1, at: 0)
            kit.add(kit.request(action, 2, at: 0, 0))
            kit.add(.write, 3, at: 12288)
            kit.add(.write, 4, at: 8192)
            let passed = kit.handDown()
            #expect(passed.map(\.action) == [.writeVectored, action, .writeVectored])
            #expect(passed.map(\.offset) == [0, 0, 8192])
            #expect(passed.map(\.token.slot) == [1, 2, 4])
        }
    }

    @Test func anAppendIsPassedByNothing() throws {
        var kit = BufferKit()
        kit.add(.write, 0, at: 0)
        var append = kit.request(.write, 1, at: 0)
        append.traits = [.known, .appending]
        kit.add(append)
        kit.add(.write, 2, at: 4096)
        kit.add(.write, 3, at: 8192)
        #expect(kit.handDown().map(\.token.slot) == [0, 1, 2])
    }

    @Test func overlappingWritesKeepTheirOrder() throws {
        var kit = BufferKit()
        // The third overlaps the first two; the fourth continues the second, but came later.
        kit.add(.write, 0, at: 0)
        kit.add(.write, 1, at: 4096)
        kit.add(.write, 2, at: 2048)
        kit.add(.write, 3, at: 8192)
        let passed = kit.handDown()
        #expect(passed.map(\.range) == [0..<8192, 2048..<6144, 8192..<12288])
    }

    @Test func aReadDoesNotPassAWriteOfItsBytes() throws {
        var kit = BufferKit()
        kit.add(.read, 0, at: 0)
        kit.add(.read, 1, at: 8192)
        kit.add(.write, 2, at: 4096)
        kit.add(.read, 3, at: 4096)
        kit.add(.read, 4, at: 12288)
        let passed = kit.handDown()
        // The last two belong to the reads before them, but the first of them is behind the write.
        #expect(passed.map(\.action) == [.read, .read, .write, .read, .read])
        let write = try #require(passed.firstIndex { $0.action == .write })
        let read = try #require(passed.firstIndex { $0.token.slot == 3 })
        #expect(write < read)
    }

    @Test func otherFilesAndDistantWritesAreNoObstacle() throws {
        var kit = BufferKit()
        for slot in 0..<4 {
            kit.add(.read, slot, at: slot * Self.page)
            kit.add(.write, 10 + slot, at: (100 + slot) * Self.page)
            kit.add(.write, 20 + slot, at: slot * Self.page, descriptor: 9)
        }
        let passed = kit.handDown()
        #expect(pages(passed) == [[0, 4], [100, 4], [0, 4]])
    }

    @Test func aRequestThatTouchesNothingDoesNotJump() throws {
        // Two batches: what was left of the first goes first, whatever the second looks like.
        var kit = BufferKit()
        kit.add(.write, 0, at: 0)
        kit.add(.write, 1, at: 4096)
        #expect(kit.buffer.next() != nil)
        kit.buffer.putBack()
        kit.add(.write, 2, at: 2048)
        kit.add(.write, 3, at: 0)
        let passed = kit.handDown()
        #expect(passed.map(\.token.slot) == [0, 2, 3])
    }
}
