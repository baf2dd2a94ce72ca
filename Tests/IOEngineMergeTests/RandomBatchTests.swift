import IOEngineCore
import IOEngineMerge
import TestSupport
import Testing

/// Random batches against the same requests done one after the other.
@Suite struct RandomBatchTests {
    static let fileSize = 96 << 10

    /// A request of a batch, and what it must come to.
    struct Expected {
        var request: IORequest
        var result: Int
        var bytes: [UInt8]
    }

    /// Without faults the layer hands down what conflicts in the order in which it came, so the file
    /// and all that is read are as if each request had been done by itself, in order: overlaps and all.
    @Test(arguments: [1024, 2, 0, 7])
    func aBatchIsAsGoodAsItsRequestsInOrder(maximumVectors: Int) throws {
        var random = SeededRandom()
        for _ in 0..<Amount.of(25) {
            let policy = MergePolicy(
                maximumBytes: [4096, 20_000, 128 << 10].randomElement(using: &random)!,
                maximumParts: [2, 5, 256].randomElement(using: &random)!,
                maximumGap: [0, 100, 5000].randomElement(using: &random)!,
                copiesPartsUpTo: [0, 1000, 1 << 20].randomElement(using: &random)!)
            var kit = BufferKit(
                depth: 48, policy: policy, maximumVectors: maximumVectors, largest: 9000)
            let reference = Device(size: Self.fileSize)
            let device = Device(size: Self.fileSize)
            for _ in 0..<4 {
                var batch: [Int: Expected] = [:]
                let lists = Memory(48 * 64)
                let count = Int.random(in: 1...48, using: &random)
                for slot in 0..<count {
                    let request = draw(
                        slot, kit, lists, &random, lists: maximumVectors > 1, after: batch)
                    kit.add(request)
                    batch[slot] = expect(request, slot, reference, kit, &random)
                }
                check(kit.handDown(), device, &kit, batch, policy, maximumVectors, random.note)
                let isSame = device.bytes == reference.bytes
                try #require(isSame, "\(random.note)")
            }
        }
    }

    private func draw(
        _ slot: Int, _ kit: borrowing BufferKit, _ lists: Memory, _ random: inout SeededRandom,
        lists mayBeListed: Bool, after batch: [Int: Expected]
    ) -> IORequest {
        if random.isOne(in: 30) {
            let other: [IOAction] = [.syncData, .syncFull, .noOperation]
            return kit.request(other.randomElement(using: &random)!, slot, at: 0, 0)
        }
        let isRead = Int.random(in: 0..<10, using: &random) < 6
        var offset = Int.random(in: 0..<Self.fileSize - 9000, using: &random)
        // Mostly near the one before, for that is what is to be joined.
        if let previous = batch[slot - 1]?.request, !random.isOne(in: 4) {
            let step = [0, 0, 0, -previous.length, 50, 3000, -10]
            offset = previous.range.upperBound + step.randomElement(using: &random)!
            if offset < 0 || offset > Self.fileSize { offset = 0 }
        }
        let length =
            random.isOne(in: 3)
            ? Int.random(in: 1...8999, using: &random)
            : [512, 1024, 4096].randomElement(using: &random)!
        var request = kit.request(isRead ? .read : .write, slot, at: offset, length)
        if random.isOne(in: 10) { request.descriptor = 3 }
        if random.isOne(in: 15) { request.flags = isRead ? .highPriority : .dataSync }
        if random.isOne(in: 20) { request.mayBlock = true }
        if random.isOne(in: 20) { request.priority = .idle }
        if mayBeListed, length > 3, random.isOne(in: 6) {
            let list = unsafe lists.address(slot * 64).assumingMemoryBound(to: IOVector.self)
            let cut = Int.random(in: 1..<length, using: &random)
            let place = slot * kit.stride
            // The second half lies apart from the first.
            unsafe list.initialize(to: IOVector(base: kit.memory.address(place), count: cut))
            unsafe (list + 1).initialize(
                to: IOVector(base: kit.memory.address(place + cut + 16), count: length - cut))
            request.action = isRead ? .readVectored : .writeVectored
            unsafe request.address = UnsafeMutableRawPointer(list)
            request.vectorCount = 2
        }
        return request
    }

    /// Does a request by itself, with memory of its own, and fills the memory of a write.
    private func expect(
        _ request: IORequest, _ slot: Int, _ reference: Device, _ kit: borrowing BufferKit,
        _ random: inout SeededRandom
    ) -> Expected {
        guard request.action.isTransfer else {
            return Expected(request: request, result: 0, bytes: [])
        }
        let byte = UInt8.random(in: 0...255, using: &random)
        for piece in request.pieces {
            unsafe piece.base.initializeMemory(
                as: UInt8.self, repeating: request.action.isRead ? 0xee : byte, count: piece.count)
        }
        if request.action.isWrite {
            return Expected(request: request, result: reference.perform(request), bytes: [])
        }
        let end = min(request.range.upperBound, reference.bytes.count)
        let count = max(0, end - request.range.lowerBound)
        let bytes = count == 0 ? [] : Array(reference.bytes[request.range.prefix(count)])
        return Expected(request: request, result: count, bytes: bytes)
    }

    private func check(
        _ passed: [IORequest], _ device: Device, _ kit: inout BufferKit, _ batch: [Int: Expected],
        _ policy: MergePolicy, _ maximumVectors: Int, _ note: String
    ) {
        var queue = passed
        var results: [Int: Int] = [:]
        while !queue.isEmpty {
            for request in queue {
                let limit = max(
                    policy.maximumBytes, batch[Int(request.token.slot)]?.request.length ?? 0)
                #expect(request.length <= limit, "\(note)")
                #expect(request.pieces.map(\.count).reduce(0, +) == request.length, "\(note)")
                if request.action.isVectored {
                    #expect(request.vectorCount <= maximumVectors, "\(note)")
                }
                kit.buffer.complete(
                    IOCompletion(token: request.token, result: device.perform(request)))
            }
            results.merge(kit.finished(most: 64)) { _, _ in -9999 }
            // Parts behind the end of the file.
            queue = kit.handDown()
        }
        for (slot, expected) in batch {
            #expect(results[slot] == expected.result, "slot \(slot); \(note)")
            guard expected.request.action.isRead else { continue }
            var found: [UInt8] = []
            for piece in expected.request.pieces {
                unsafe found.append(
                    contentsOf: UnsafeRawBufferPointer(start: piece.base, count: piece.count))
            }
            let isRight = found.starts(with: expected.bytes)
            let isUntouchedBehind = found.dropFirst(expected.result).allSatisfy { $0 == 0xee }
            #expect(isRight && isUntouchedBehind, "slot \(slot); \(note)")
        }
        #expect(results.count == batch.count && kit.buffer.staged == 0, "\(note)")
    }
}

/// How much chance a test takes: more on request.
///
/// IOENGINE_MERGE_OPERATIONS is how many operations go through the layer on simulated disks, at least;
/// without it 10,000. Real files and memory come on top.
enum Amount {
    static let operations = TestEnvironment.number("IOENGINE_MERGE_OPERATIONS") ?? 10_000

    static func of(_ count: Int) -> Int { max(1, count * operations / 10_000) }
}
