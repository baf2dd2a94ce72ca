import Glibc
import IOEngineCore
import IOEngineMerge
import TestSupport
import Testing

/// What each part gets when the joined request has ended.
@Suite struct SharingTests {
    static let page = 4096

    /// Four pages from page 10 on, in one request.
    func joined(_ action: IOAction, policy: MergePolicy = MergePolicy(copiesPartsUpTo: 0))
        -> BufferKit
    {
        var kit = BufferKit(policy: policy)
        for slot in 0..<4 { kit.add(action, slot, at: (10 + slot) * Self.page) }
        let passed = kit.handDown()
        #expect(passed.count == 1 && passed[0].length == 4 * Self.page)
        return kit
    }

    @Test(arguments: [IOAction.read, .write], [1, 4095, 4096, 4097, 12288, 16383])
    func aShortTransferIsSharedOutByBytes(_ action: IOAction, moved: Int) throws {
        var kit = joined(action)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: moved))
        var expected: [Int: Int] = [:]
        for slot in 0..<4 where moved > slot * Self.page {
            expected[slot] = min(Self.page, moved - slot * Self.page)
        }
        #expect(kit.finished() == expected)
        // The rest goes down again, each by itself, as it came.
        let again = kit.handDown()
        #expect(again.map { Int($0.token.slot) } == (expected.count..<4).map { $0 })
        for request in again {
            #expect(request.action == action && request.length == Self.page)
            let slot = Int(request.token.slot)
            #expect(unsafe request.address == kit.memory.address(slot * kit.stride))
            kit.buffer.complete(IOCompletion(token: request.token, result: 7))
        }
        #expect(
            kit.finished()
                == Dictionary(uniqueKeysWithValues: again.map { (Int($0.token.slot), 7) }))
        #expect(kit.buffer.statistics.partsRepeated == UInt64(again.count))
    }

    @Test(arguments: [Int(-EIO), Int(-ENOSPC), Int(-EINTR), Int(-EAGAIN), Int(-EINVAL), 16385])
    func aFailureIsFoundByRepeatingEachPart(_ result: Int) throws {
        var kit = joined(.read)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: result))
        #expect(kit.finished().isEmpty)
        let again = kit.handDown()
        #expect(again.map(\.range.lowerBound) == [10, 11, 12, 13].map { $0 * Self.page })
        for request in again {
            let isBad = request.token.slot == 2
            kit.buffer.complete(
                IOCompletion(token: request.token, result: isBad ? Int(-EIO) : Self.page))
        }
        #expect(kit.finished() == [0: 4096, 1: 4096, 2: Int(-EIO), 3: 4096])
        #expect(kit.handDown().isEmpty, "nothing is repeated twice")
    }

    /// The kernel tells of lost data once, and it may be that of other writes.
    @Test(arguments: [IOFlags.dataSync, .sync, []], [Int(-EIO), Int(-ENOSPC), Int(-ESTALE)])
    func aDurableWriteThatFailedIsToldToOnePart(_ flags: IOFlags, result: Int) throws {
        var kit = BufferKit()
        for slot in 0..<4 {
            var request = kit.request(.write, slot, at: (10 + slot) * Self.page)
            request.flags = flags
            if flags.isEmpty { request.traits = [.known, .synchronous] }
            kit.add(request)
        }
        let passed = kit.handDown()
        #expect(passed.count == 1 && passed[0].length == 4 * Self.page)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: result))
        #expect(kit.finished() == [0: result])
        let again = kit.handDown()
        #expect(again.map { Int($0.token.slot) } == [1, 2, 3])
        for request in again {
            kit.buffer.complete(IOCompletion(token: request.token, result: Self.page))
        }
        #expect(kit.finished() == [1: 4096, 2: 4096, 3: 4096])
        #expect(kit.handDown().isEmpty)
    }

    @Test func aReadAtTheEndOfTheFileIsTheEndForAllParts() throws {
        var kit = joined(.read)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: 0))
        #expect(kit.finished() == [0: 0, 1: 0, 2: 0, 3: 0])
        #expect(kit.handDown().isEmpty)
    }

    @Test func aWriteOfNothingSaysNothingAboutItsParts() throws {
        var kit = joined(.write)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: 0))
        #expect(kit.finished().isEmpty)
        #expect(kit.handDown().count == 4)
    }

    @Test func whatIsRepeatedGoesBeforeWhatCameLater() throws {
        var kit = joined(.write)
        kit.add(.write, 8, at: 14 * Self.page)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: Self.page))
        let passed = kit.handDown()
        #expect(passed.map(\.token.slot) == [1, 2, 3, 8], "and is not joined with it")
    }

    @Test func answersComeOutInPiecesAsSmallAsOneLikes() throws {
        var kit = joined(.read)
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: 4 * Self.page))
        var seen: Set<Int> = []
        for left in (0..<4).reversed() {
            let some = kit.finished(most: 1)
            #expect(some.count == 1 && kit.buffer.finishedCount == left)
            seen.formUnion(some.keys)
        }
        #expect(seen == [0, 1, 2, 3])
    }

    @Test func completionsOfOthersPass() throws {
        var kit = joined(.read)
        // An old generation of the first part, another part, and a slot that does not exist.
        let old = IOToken(slot: 0, generation: 6)
        kit.buffer.complete(IOCompletion(token: old, result: 1))
        let none = IOToken(slot: 1000, generation: 7)
        kit.buffer.complete(IOCompletion(token: none, result: 2))
        #expect(kit.buffer.finishedCount == 2)
        let space = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: 4)
        defer { unsafe space.deallocate() }
        var span = unsafe OutputSpan(buffer: space, initializedCount: 0)
        kit.buffer.takeFinished(into: &span)
        #expect(unsafe span.finalize(for: space) == 2)
        #expect(unsafe space[0].token == old && space[1].token == none)
        // The joined request is none the worse.
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: 4 * Self.page))
        #expect(kit.finished().count == 4)
    }

    @Test func readsOfTheSameBytesReadThemOnce() throws {
        let device = Device(size: 64 << 10)
        // A duplicate, one inside another, a chain of overlaps, and one that spans several.
        let ranges = [
            0..<4096, 0..<4096, 1024..<2048, 3072..<8192, 4096..<9000, 2048..<12000, 11999..<12001,
            12001..<13000,
        ]
        for moved in [13000, 12999, 12000, 8192, 4097, 4096, 1500, 1] {
            var kit = BufferKit(policy: MergePolicy(copiesPartsUpTo: 0))
            for (slot, range) in ranges.enumerated().reversed() {
                kit.add(.read, slot, at: range.lowerBound, range.count)
            }
            let passed = kit.handDown()
            try #require(passed.count == 1 && passed[0].range == 0..<13000)
            #expect(passed[0].pieces.map(\.count).reduce(0, +) == 13000, "each byte once")
            device.perform(passed[0], most: moved)
            kit.buffer.complete(IOCompletion(token: passed[0].token, result: moved))
            let results = kit.finished()
            for (slot, range) in ranges.enumerated() {
                let count = min(moved, range.upperBound) - range.lowerBound
                #expect(results[slot] == (count > 0 ? count : nil), "\(range) of \(moved)")
                guard count > 0 else { continue }
                let found = kit.memory[kit.memory(of: slot, count)]
                let isRight = found == Array(device.bytes[range.prefix(count)])
                #expect(isRight, "\(range) of \(moved)")
            }
            #expect(kit.handDown().count == ranges.count - results.count)
        }
    }

    @Test func aDriverWithoutListsIsCopiedFor() throws {
        let device = Device(size: 1 << 20)
        var kit = BufferKit(policy: MergePolicy(maximumGap: 4096), maximumVectors: 0)
        // A gap, an overlap, neighbours.
        let ranges = [0..<4096, 4096..<8192, 9000..<12000, 11000..<16000]
        for (slot, range) in ranges.enumerated() {
            kit.add(.read, slot, at: range.lowerBound, range.count)
        }
        var passed = kit.handDown()
        #expect(passed.count == 1 && passed[0].action == .read && passed[0].range == 0..<16000)
        let moved = 11500
        device.perform(passed[0], most: moved)
        kit.buffer.complete(IOCompletion(token: passed[0].token, result: moved))
        #expect(kit.finished() == [0: 4096, 1: 4096, 2: 2500, 3: 500])
        for (slot, range) in ranges.enumerated() {
            let count = min(moved, range.upperBound) - range.lowerBound
            #expect(
                kit.memory[kit.memory(of: slot, count)] == Array(device.bytes[range.prefix(count)]))
        }
        #expect(kit.buffer.statistics.bytesCopied == 4096 + 4096 + 2500 + 500)

        for slot in 0..<4 {
            kit.memory[kit.memory(of: slot, 4096)] = Array(repeating: UInt8(65 + slot), count: 4096)
            kit.add(.write, slot, at: 8192 + slot * 4096)
        }
        passed = kit.handDown()
        #expect(passed.map(\.action) == [.write] && passed[0].length == 16384)
        #expect(device.perform(passed[0]) == 16384)
        for slot in 0..<4 {
            #expect(device.bytes[8192 + slot * 4096] == UInt8(65 + slot))
            #expect(device.bytes[8192 + slot * 4096 + 4095] == UInt8(65 + slot))
        }
    }

    @Test func onlySmallPartsAreCopied() throws {
        let policy = MergePolicy(copiesPartsUpTo: 512)
        var kit = BufferKit(policy: policy)
        for slot in 0..<8 { kit.add(.write, slot, at: slot * 512, 512) }
        var passed = kit.handDown()
        #expect(passed.map(\.action) == [.write] && passed[0].length == 4096)
        #expect(UInt(bitPattern: unsafe passed[0].address) % 4096 == 0, "fit for direct IO")
        #expect(kit.buffer.statistics.bytesCopied == 4096)

        kit = BufferKit(policy: policy)
        for slot in 0..<8 { kit.add(.write, slot, at: slot * 513, 513) }
        passed = kit.handDown()
        #expect(passed.map(\.action) == [.writeVectored])
        #expect(kit.buffer.statistics.bytesCopied == 0)
    }

    @Test func memoryToCopyInComesBack() throws {
        var kit = BufferKit(depth: 4, policy: MergePolicy(), maximumVectors: 0)
        for _ in 0..<100 {
            for slot in 0..<4 { kit.add(.read, slot, at: (slot * 5 / 2) * Self.page) }
            // 0, 2, 5, 7: nothing touches.
            for request in kit.handDown() {
                kit.buffer.complete(IOCompletion(token: request.token, result: request.length))
            }
            #expect(kit.finished().count == 4)
            for slot in 0..<4 { kit.add(.read, slot, at: (slot / 2 * 10 + slot) * Self.page) }
            let passed = kit.handDown()
            #expect(pages(passed) == [[0, 2], [12, 2]])
            for request in passed {
                kit.buffer.complete(IOCompletion(token: request.token, result: request.length))
            }
            #expect(kit.finished().count == 4)
        }
    }
}
