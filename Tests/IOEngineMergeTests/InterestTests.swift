import IOEngineCore
import IOEngineMerge
import Testing

/// Looking for neighbours less often where there are none.
@Suite struct InterestTests {
    static let page = 4096

    /// Hands down reads of these pages and answers them. Returns how many requests it took.
    private func pass(_ pages: [Int], _ kit: inout BufferKit) -> Int {
        for (slot, page) in pages.enumerated() { kit.add(.read, slot, at: page * Self.page) }
        let requests = kit.handDown()
        for request in requests {
            kit.buffer.complete(IOCompletion(token: request.token, result: request.length))
        }
        #expect(kit.finished().count == pages.count)
        return requests.count
    }

    /// Pages without neighbours, neither going up nor down.
    private static let scattered = [9, 30, 3, 60, 21, 45, 0, 15].map { $0 * 100 }

    private func boredKit() -> BufferKit {
        var kit = BufferKit(depth: 8)
        for _ in 0..<200 { #expect(pass(Self.scattered, &kit) == 8) }
        return kit
    }

    @Test func theOrderOfTheFileIsSeenAtOnce() {
        var kit = boredKit()
        #expect(pass(Array(0..<8), &kit) == 1)
    }

    @Test func otherNeighboursAreSeenAfterAFewBatches() {
        var kit = boredKit()
        let shuffled = [3, 7, 1, 0, 6, 2, 5, 4]
        let counts = (0..<24).map { _ in pass(shuffled, &kit) }
        #expect(counts.prefix(10).contains(1))
        #expect(counts.suffix(10).allSatisfy { $0 == 1 }, "\(counts)")
    }

    @Test func aWaitForNeighboursAlwaysLooks() {
        var kit = BufferKit(
            depth: 8, policy: MergePolicy(wait: .microseconds(50), copiesPartsUpTo: 0))
        for _ in 0..<200 { #expect(pass(Self.scattered, &kit) == 8) }
        #expect(pass([3, 7, 1, 0, 6, 2, 5, 4], &kit) == 1)
    }
}
