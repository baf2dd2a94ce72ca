import IOEngineCore
import IOEngineMerge
import TestSupport
import Testing

/// What is joined with what.
@Suite struct JoiningTests {
    static let page = 4096

    @Test func whatNothingTouchesPassesUnchanged() throws {
        var kit = BufferKit()
        var sent: [IORequest] = []
        for (slot, place) in [40, 3, 17, 90, 8].enumerated() {
            var request = kit.request(slot % 2 == 0 ? .read : .write, slot, at: place * Self.page)
            request.registeredRegion = 0
            request.registeredDescriptor = 5
            request.flags = .dontCache
            request.priority = .idle
            kit.add(request)
            sent.append(request)
        }
        let passed = kit.handDown()
        #expect(passed.map(\.token) == sent.map(\.token), "in the order in which they came")
        for (got, wanted) in zip(passed, sent) {
            #expect(unsafe got.address == wanted.address)
            #expect(got.action == wanted.action && got.offset == wanted.offset)
            #expect(got.length == wanted.length && got.flags == wanted.flags)
            #expect(got.registeredRegion == 0 && got.registeredDescriptor == 5)
            #expect(got.priority == .idle)
        }
        // Their completions pass too, whatever they say.
        kit.buffer.complete(IOCompletion(token: kit.token(1), result: -5))
        kit.buffer.complete(IOCompletion(token: kit.token(4), result: 100))
        #expect(kit.finished() == [1: -5, 4: 100])
        #expect(kit.buffer.statistics.partsJoined == 0)
    }

    @Test(arguments: [IOAction.read, .write])
    func neighboursBecomeOneRequestWithoutACopy(_ action: IOAction) throws {
        var kit = BufferKit()
        for slot in 0..<5 { kit.add(action, slot, at: (10 + slot) * Self.page) }
        let passed = kit.handDown()
        let joined = try #require(passed.first)
        #expect(passed.count == 1)
        #expect(joined.action == (action == .read ? .readVectored : .writeVectored))
        #expect(joined.token == kit.token(0), "that of the first part")
        #expect(joined.offset == 10 * 4096 && joined.length == 5 * 4096)
        #expect(joined.descriptor == 3 && joined.registeredRegion == -1)
        let pieces = joined.pieces
        #expect(pieces.count == 5)
        for (slot, piece) in pieces.enumerated() {
            #expect(unsafe piece.base == kit.memory.address(slot * kit.stride))
            #expect(piece.count == Self.page)
        }
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: joined.length))
        #expect(kit.finished() == [0: 4096, 1: 4096, 2: 4096, 3: 4096, 4: 4096])
        let statistics = kit.buffer.statistics
        #expect(statistics.requestsIn == 5 && statistics.requestsOut == 1)
        #expect(statistics.partsJoined == 5 && statistics.bytesCopied == 0)
    }

    @Test func theOrderOfArrivalIsOfNoImportance() throws {
        var random = SeededRandom()
        for _ in 0..<50 {
            var kit = BufferKit()
            // Two files, and in each reads and, far away, writes.
            for place in (0..<32).map({ $0 }).shuffled(using: &random) {
                let isRead = place < 16
                kit.add(
                    isRead ? .read : .write, place,
                    at: (place % 8 + (isRead ? 0 : 100)) * Self.page,
                    descriptor: place % 16 < 8 ? 3 : 4)
            }
            let passed = kit.handDown()
            #expect(pages(passed) == [[0, 8], [100, 8], [0, 8], [100, 8]], "\(random.note)")
        }
        var kit = BufferKit()
        for place in (0..<32).map({ $0 }).shuffled(using: &random) {
            kit.add(.read, place, at: place * Self.page, descriptor: place < 16 ? 3 : 4)
        }
        #expect(pages(kit.handDown()) == [[0, 16], [16, 16]], "\(random.note)")
    }

    @Test func theLimitsAreThoseOfTheWhole() throws {
        var kit = BufferKit(policy: MergePolicy(maximumBytes: 20 << 10, copiesPartsUpTo: 0))
        for slot in 0..<12 { kit.add(.write, slot, at: slot * Self.page) }
        #expect(pages(kit.handDown()) == [[0, 5], [5, 5], [10, 2]])

        kit = BufferKit(policy: MergePolicy(maximumParts: 3, copiesPartsUpTo: 0))
        for slot in 0..<8 { kit.add(.read, slot, at: slot * Self.page) }
        #expect(pages(kit.handDown()) == [[0, 3], [3, 3], [6, 2]])

        kit = BufferKit(policy: MergePolicy(maximumParts: 1))
        for slot in 0..<4 { kit.add(.read, slot, at: slot * Self.page) }
        #expect(kit.handDown().count == 4)

        kit = BufferKit(maximumVectors: 4)
        for slot in 0..<9 { kit.add(.read, slot, at: slot * Self.page) }
        let passed = kit.handDown()
        #expect(pages(passed) == [[0, 4], [4, 4], [8, 1]])
        #expect(passed[2].action == .read, "alone it is what it was")
    }

    @Test func whatIsLargerThanTheLimitPassesAlone() throws {
        var kit = BufferKit(policy: MergePolicy(maximumBytes: 8192, copiesPartsUpTo: 0))
        kit.add(.read, 0, at: 0)
        kit.add(.read, 1, at: 4096, 12 << 10)
        kit.add(.read, 2, at: 16 << 10)
        kit.add(.read, 3, at: 20 << 10)
        let passed = kit.handDown()
        #expect(passed.map(\.range) == [0..<4096, 4096..<16384, 16384..<24576])
        #expect(passed.map(\.action) == [.read, .read, .readVectored])
    }

    @Test func onlyWhatIsOfOneKindIsJoined() throws {
        let changes: [(inout IORequest) -> Void] = [
            { $0.descriptor = 4 }, { $0.flags = .dontCache }, { $0.priority = .idle },
            { $0.registeredDescriptor = 1 }, { $0.action = .write },
        ]
        for change in changes {
            var kit = BufferKit()
            for slot in 0..<6 {
                var request = kit.request(.read, slot, at: slot * Self.page)
                if slot % 2 == 1 { change(&request) }
                kit.add(request)
            }
            #expect(kit.handDown().count == 6)
        }
    }

    @Test func whatMustStayWholeIsNeverJoined() throws {
        let changes: [(inout IORequest) -> Void] = [
            { $0.flags = .append }, { $0.flags = .atomic }, { $0.traits.insert(.appending) },
            { $0.flags = .noWait }, { $0.mayBlock = true },
        ]
        for change in changes {
            var kit = BufferKit()
            for slot in 0..<6 {
                var request = kit.request(.write, slot, at: slot * Self.page)
                change(&request)
                kit.add(request)
            }
            let passed = kit.handDown()
            #expect(passed.map(\.token.slot) == [0, 1, 2, 3, 4, 5])
            #expect(passed.allSatisfy { $0.action == .write && $0.length == Self.page })
        }
    }

    @Test func whatDirectIOWouldRefuseAloneIsNotHelped() throws {
        let direct: IODescriptorTraits = [.known, .direct]
        func joins(
            _ traits: IODescriptorTraits, _ logarithm: UInt8, _ lengths: [Int], shift: Int = 0
        ) -> Int {
            var kit = BufferKit()
            var offset = 0
            for (slot, length) in lengths.enumerated() {
                var request = kit.request(.read, slot, at: offset, length)
                request.traits = traits
                request.alignmentLogarithm = logarithm
                if slot == 1, let address = unsafe request.address {
                    unsafe request.address = address + shift
                }
                kit.add(request)
                offset += length
            }
            return kit.handDown().count
        }
        #expect(joins(direct, 9, [512, 512, 1024]) == 1)
        #expect(joins(direct, 9, [512, 512, 1024], shift: 16) == 3, "the memory counts too")
        #expect(joins(direct, 9, [512, 256, 256]) == 3)
        #expect(joins(direct, 12, [4096, 2048, 2048, 4096]) == 4)
        #expect(joins(direct, 0, [4096, 4096]) == 1, "4096 where nothing is said")
        #expect(joins(direct, 0, [512, 512]) == 2)
        #expect(joins([], 0, [512, 512]) == 2, "and where nothing is known")
        #expect(joins([], 0, [4096, 4096]) == 1)
        #expect(joins(.known, 0, [1, 2, 3], shift: 1) == 1)
        #expect(joins([.known, .inMemory], 0, [1, 2, 3]) == 1)
    }

    @Test func listsJoinAsAWhole() throws {
        var kit = BufferKit(maximumVectors: 5)
        let lists = Memory(4096)
        func vectored(_ slot: Int, at offset: Int, _ parts: [Int]) -> IORequest {
            let list = unsafe lists.address(slot * 64).assumingMemoryBound(to: IOVector.self)
            var place = slot * kit.stride
            for (i, count) in parts.enumerated() {
                unsafe (list + i).initialize(
                    to: IOVector(base: kit.memory.address(place), count: count))
                place += count + 8
            }
            return unsafe IORequest(
                token: kit.token(slot), action: .writeVectored, descriptor: 3,
                address: UnsafeMutableRawPointer(list), vectorCount: UInt32(parts.count),
                offset: Int64(offset), length: parts.reduce(0, +), traits: .known)
        }
        kit.add(.write, 0, at: 0)
        kit.add(vectored(1, at: 4096, [100, 200]))
        kit.add(vectored(2, at: 4396, [700, 1, 9]))
        kit.add(vectored(3, at: 5106, [1, 1, 1]))
        let passed = kit.handDown()
        #expect(passed.map(\.range) == [0..<4396, 4396..<5106, 5106..<5109], "at most 5 in a list")
        #expect(passed[0].pieces.map(\.count) == [4096, 100, 200])
        #expect(unsafe passed[1].address == lists.address(128), "alone it keeps its own list")
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: 4200))
        #expect(kit.finished() == [0: 4096, 1: 104])
    }

    @Test func memoryInARowIsOnePiece() throws {
        var kit = BufferKit(largest: 16 << 10)
        func inRow(_ slot: Int, region: Int32) -> IORequest {
            var request = kit.request(.read, slot, at: slot * Self.page)
            unsafe request.address = kit.memory.address(slot * Self.page)
            request.registeredRegion = region
            return request
        }
        for slot in 0..<4 { kit.add(inRow(slot, region: 2)) }
        var joined = try #require(kit.handDown().first)
        #expect(joined.action == .read && joined.length == 4 * Self.page)
        #expect(unsafe joined.address == kit.memory.address(0))
        #expect(joined.registeredRegion == 2, "all of it lies in that region")
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: joined.length))
        #expect(kit.finished().count == 4)

        for slot in 0..<4 { kit.add(inRow(slot, region: slot == 2 ? -1 : 2)) }
        joined = try #require(kit.handDown().first)
        #expect(joined.action == .read && joined.registeredRegion == -1)
    }

    @Test func onlyReadsReachAcrossAGap() throws {
        let policy = MergePolicy(maximumGap: 8192, copiesPartsUpTo: 0)
        var kit = BufferKit(policy: policy)
        // Gaps of 1, 2 and 3 pages.
        let places = [0, 2, 5, 9]
        for (slot, place) in places.enumerated() { kit.add(.read, slot, at: place * Self.page) }
        let passed = kit.handDown()
        #expect(pages(passed) == [[0, 6], [9, 1]])
        let pieces = passed[0].pieces
        #expect(pieces.map(\.count) == [4096, 4096, 4096, 8192, 4096])
        #expect(pieces.allSatisfy { UInt(bitPattern: unsafe $0.base) % 4096 == 0 })
        #expect(unsafe pieces[1].base != pieces[3].base, "each gap has memory of its own")
        #expect(kit.buffer.statistics.gapBytes == 12 << 10)
        // The gap's bytes count like any: the break lies in the second gap.
        kit.buffer.complete(IOCompletion(token: kit.token(0), result: 4 * 4096))
        #expect(kit.finished() == [0: 4096, 1: 4096])
        #expect(kit.handDown().map(\.token.slot) == [2])

        kit = BufferKit(policy: policy)
        for (slot, place) in places.enumerated() { kit.add(.write, slot, at: place * Self.page) }
        #expect(kit.handDown().count == 4)
    }

    @Test func gapsTakeTurnsWithTheirMemory() throws {
        // Room for two gaps at a time: the others are not bridged, and no memory is lost.
        var kit = BufferKit(
            depth: 4, policy: MergePolicy(maximumGap: 4096, copiesPartsUpTo: 0))
        for round in 0..<10 {
            for slot in 0..<4 { kit.add(.read, slot, at: slot * 8192) }
            let passed = kit.handDown()
            #expect(pages(passed) == [[0, 5], [6, 1]], "round \(round)")
            for request in passed {
                kit.buffer.complete(IOCompletion(token: request.token, result: request.length))
            }
            #expect(kit.finished() == [0: 4096, 1: 4096, 2: 4096, 3: 4096])
        }
    }

    @Test func withoutRoomForListsRequestsPassAlone() throws {
        // Four requests with long lists: two of them fill the room.
        var kit = BufferKit(depth: 4)
        let lists = Memory(4 * 8192)
        for slot in 0..<4 {
            let list = unsafe lists.address(slot * 8192).assumingMemoryBound(to: IOVector.self)
            for i in 0..<500 {
                unsafe (list + i).initialize(
                    to: IOVector(base: kit.memory.address(slot * kit.stride + 9 * i), count: 8))
            }
            kit.add(
                unsafe IORequest(
                    token: kit.token(slot), action: .readVectored, descriptor: 3,
                    address: UnsafeMutableRawPointer(list), vectorCount: 500,
                    offset: Int64(slot * 4000), length: 4000, traits: .known))
        }
        let passed = kit.handDown()
        #expect(passed.map(\.length) == [8000, 4000, 4000])
        for request in passed {
            kit.buffer.complete(IOCompletion(token: request.token, result: request.length))
        }
        #expect(kit.finished() == [0: 4000, 1: 4000, 2: 4000, 3: 4000])
    }

    @Test func aRequestThatIsPutBackComesAgain() throws {
        var kit = BufferKit()
        for slot in 0..<4 { kit.add(.read, slot, at: slot * Self.page) }
        kit.add(.read, 9, at: 1 << 20)
        for _ in 0..<1000 {
            #expect(kit.buffer.next()?.length == 4 * Self.page)
            kit.buffer.putBack()
        }
        #expect(kit.buffer.staged == 5)
        // What comes meanwhile waits its turn.
        kit.add(.read, 4, at: 4 * Self.page)
        #expect(pages(kit.handDown()) == [[0, 4], [256, 1], [4, 1]])
    }

    @Test func aFullBufferSaysSo() throws {
        var kit = BufferKit(depth: 2)
        kit.add(.read, 0, at: 0)
        kit.add(.read, 1, at: 8192)
        let third = kit.request(.read, 0, at: 50)
        #expect(kit.buffer.add(third) == .full)
        for request in kit.handDown() {
            #expect(kit.buffer.add(third) == .full)
            kit.buffer.complete(IOCompletion(token: request.token, result: 0))
            #expect(kit.buffer.add(third) == .full, "answered, but not taken out")
        }
        #expect(kit.finished(most: 1) == [0: 0])
        #expect(kit.buffer.add(third) == .queued)
    }
}
