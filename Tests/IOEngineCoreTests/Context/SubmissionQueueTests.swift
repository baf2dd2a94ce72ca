import TestSupport
import Testing

@testable import IOEngineCore

@Suite struct SubmissionQueueTests {
    /// The queue with elements that know where they lie, as numbers.
    final class Queue {
        enum Claim: Equatable {
            case position(Int)
            case full, closed
        }

        let queue: SubmissionQueue<Token>
        let alive: Counter

        init(_ alive: Counter, capacity: Int, first: Int = 0) {
            queue = SubmissionQueue(capacity: capacity, firstPosition: first)
            self.alive = alive
        }

        func claim(_ count: Int) -> Claim {
            switch queue.claim(count) {
            case .position(let position): .position(position)
            case .full: .full
            case .closed: .closed
            }
        }

        func fill(_ position: Int) { queue.fill(position, Token(position, alive)) }

        func push() -> Int? {
            guard case .position(let position) = claim(1) else { return nil }
            fill(position)
            return position
        }

        func pop() -> Int { queue.pop().number }
        func remove(at position: Int) -> Int? { Token.number(queue.remove(at: position)) }
        func element(at position: Int) -> Int? {
            unsafe queue.element(at: position).map { unsafe $0.pointee.number }
        }
        func reserve() -> Bool { queue.reserve() }
        var canReserve: Bool { queue.canReserve }
        func canClaimReserved(_ count: Int) -> Bool { queue.canClaimReserved(count) }
        func claimReserved(_ count: Int) -> Claim {
            switch queue.claimReserved(count) {
            case .position(let position): .position(position)
            case .full: .full
            case .closed: .closed
            }
        }
        func claimable(_ count: Int) -> Int { queue.claimable(count) }
        func canClaim(_ count: Int) -> Bool { queue.canClaim(count) }
        func close() -> Bool { queue.close() }
        var isReady: Bool { queue.isReady() }
        var head: Int { queue.head }
        var end: Int { queue.end }
    }

    let alive = Counter()

    @Test(arguments: [(1, 2), (2, 2), (3, 4), (4, 4), (5, 8), (256, 256)])
    func capacitiesArePowersOfTwo(_ wanted: Int, _ capacity: Int) {
        let queue = SubmissionQueue<Token>(capacity: wanted)
        #expect(queue.capacity == capacity)
    }

    /// Positions have 61 bits: the first ones, and the last ones that there are.
    @Test(arguments: [0, 1, 3, (1 << 32) - 3, SubmissionQueue<Token>.reservedBit - 5000])
    func elementsComeOutInOrderOverManyLaps(_ first: Int) throws {
        let queue = Queue(alive, capacity: 4, first: first)
        var next = first
        for lap in 0..<1000 {
            #expect(!queue.isReady && queue.head == next && queue.end == next)
            let count = 1 + lap % 4
            for i in 0..<count { #expect(queue.push() == next + i) }
            if count == 4 {
                #expect(queue.claim(1) == .full)
                #expect(queue.queue.canClaim(1) == false)
            }
            for _ in 0..<count {
                #expect(queue.isReady)
                #expect(queue.pop() == next)
                next += 1
            }
        }
        #expect(alive.value == 0)
    }

    /// A producer that takes each place as it comes free never leaves two, unless the queue is reserved.
    @Test(arguments: [false, true])
    func severalPlacesAreHadByReservation(_ reserves: Bool) {
        let queue = Queue(alive, capacity: 4)
        for _ in 0..<4 { #expect(queue.push() != nil) }
        if reserves {
            #expect(queue.reserve())
            #expect(!queue.reserve(), "one at a time")
            #expect(!queue.canReserve)
        }
        var turns = 0
        while turns < 1000, !queue.canClaimReserved(3) {
            _ = queue.pop()
            #expect((queue.push() == nil) == reserves)
            turns += 1
        }
        #expect(turns == (reserves ? 3 : 1000))
        if reserves {
            #expect(queue.claimable(1) == 0 && !queue.canClaim(1))
            #expect(queue.head == 3 && queue.end == 4, "the mark is no part of the position")
            #expect(queue.claimReserved(3) == .position(4))
            for position in 4..<7 { queue.fill(position) }
            #expect(queue.canReserve && queue.push() == nil, "it is really full now")
        }
        while queue.isReady { _ = queue.pop() }
        #expect(queue.push() != nil)
        #expect(queue.reserve() && queue.close())
        #expect(queue.claim(1) == .closed && queue.canReserve && !queue.reserve())
        #expect(queue.claimReserved(1) == .closed)
    }

    @Test func severalPlacesAreClaimedInARowOrNone() {
        let queue = Queue(alive, capacity: 4)
        #expect(queue.claim(5) == .full)
        #expect(queue.claim(3) == .position(0))
        #expect(queue.claim(2) == .full)
        #expect(queue.queue.canClaim(2) == false && queue.queue.canClaim(1) == true)
        for place in [2, 0, 1] { queue.fill(place) }
        #expect(queue.pop() == 0)
        // Places come free one after the other: now there are two.
        #expect(queue.claim(2) == .position(3))
        #expect(queue.pop() == 1)
        #expect(queue.pop() == 2)
        #expect(!queue.isReady && queue.end == 5)
        queue.fill(4)
        queue.fill(3)
    }

    @Test func whatIsNotFilledHoldsUpWhatLiesBehind() {
        let queue = Queue(alive, capacity: 4)
        #expect(queue.claim(1) == .position(0) && queue.claim(1) == .position(1))
        queue.fill(1)
        #expect(!queue.isReady && queue.end == 2)
        #expect(queue.element(at: 0) == nil && queue.element(at: 1) == 1)
        #expect(queue.remove(at: 0) == nil)
        queue.fill(0)
        #expect(queue.isReady && queue.pop() == 0)
    }

    @Test func anElementCanBeTakenOutOfTheMiddle() {
        let queue = Queue(alive, capacity: 4, first: 6)
        for place in 6..<10 { #expect(queue.push() == place) }
        #expect(queue.remove(at: 7) == 7)
        #expect(queue.remove(at: 7) == nil && alive.value == 3)
        #expect(queue.remove(at: 10) == nil && queue.remove(at: 5) == nil)
        #expect(queue.element(at: 7) == nil)
        // The place is not free before those in front of it are.
        #expect(queue.claim(1) == .full)
        #expect(queue.isReady && queue.pop() == 6)
        #expect(queue.isReady && queue.head == 8 && queue.pop() == 8)
        // The last one; then all.
        #expect(queue.remove(at: 9) == 9)
        #expect(!queue.isReady && queue.head == 10)
        for place in 10..<14 { #expect(queue.push() == place) }
        for place in 10..<14 { #expect(queue.remove(at: place) == place) }
        #expect(!queue.isReady && queue.head == 14 && alive.value == 0)
        #expect(queue.queue.removedCount == 0)
    }

    @Test func closingKeepsWhatWasClaimed() {
        let queue = Queue(alive, capacity: 4)
        #expect(queue.claim(2) == .position(0))
        #expect(queue.queue.isClosed == false)
        #expect(queue.queue.close() == true)
        #expect(queue.queue.close() == false)
        #expect(queue.queue.isClosed == true)
        #expect(queue.claim(1) == .closed && queue.claim(9) == .closed)
        // So that nobody waits for a place any more.
        #expect(queue.queue.canClaim(3) == true && queue.queue.canClaim(9) == true)
        #expect(queue.end == 2)
        queue.fill(1)
        queue.fill(0)
        #expect(queue.pop() == 0 && queue.isReady)
        #expect(queue.pop() == 1 && !queue.isReady)
        #expect(queue.end == queue.head)
    }

    @Test func whatIsLeftEndsWithTheQueue() {
        do {
            let queue = Queue(alive, capacity: 8, first: 5)
            for place in 5..<13 { #expect(queue.push() == place) }
            #expect(queue.pop() == 5)
            #expect(queue.remove(at: 9) == 9)
            #expect(alive.value == 6)
        }
        #expect(alive.value == 0)
    }

    /// Against an array: producers that are interrupted between claiming and filling, a consumer that also
    /// takes out of the middle.
    @Test func randomUseAgainstAModel() {
        var random = SeededRandom()
        for _ in 0..<100 {
            let first =
                [0, 7, SubmissionQueue<Token>.reservedBit - 600].randomElement(using: &random) ?? 0
            let queue = Queue(alive, capacity: .random(in: 1...9, using: &random), first: first)
            let capacity = queue.queue.capacity
            /// From `head` on: nil, not filled; false, taken out; true, there.
            var model: [Bool?] = []
            var head = first
            var unfilled: [Int] = []
            for _ in 0..<300 {
                switch Int.random(in: 0..<8, using: &random) {
                case 0, 1:
                    let count = Int.random(in: 1...3, using: &random)
                    let hasRoom = model.count + count <= capacity
                    let place = head + model.count
                    #expect(
                        queue.claim(count) == (hasRoom ? .position(place) : .full),
                        "\(random.note)")
                    if !hasRoom { continue }
                    unfilled += place..<place + count
                    model += Array(repeating: nil, count: count)
                case 2, 3, 4:
                    guard !unfilled.isEmpty else { continue }
                    let place = unfilled.remove(
                        at: Int.random(in: 0..<unfilled.count, using: &random))
                    queue.fill(place)
                    model[place - head] = true
                case 5:
                    guard !model.isEmpty else { continue }
                    let index = Int.random(in: 0..<model.count, using: &random)
                    let isThere = model[index] == true
                    #expect(
                        queue.remove(at: head + index) == (isThere ? head + index : nil),
                        "\(random.note)")
                    if isThere { model[index] = false }
                default:
                    let isReady = queue.isReady
                    while model.first == .some(false) {
                        model.removeFirst()
                        head += 1
                    }
                    #expect(isReady == (model.first == .some(true)), "\(random.note)")
                    guard isReady else { continue }
                    #expect(queue.pop() == head, "\(random.note)")
                    model.removeFirst()
                    head += 1
                }
                #expect(alive.value == model.count { $0 == true }, "\(random.note)")
            }
            for place in unfilled { queue.fill(place) }
        }
        #expect(alive.value == 0, "\(random.note)")
    }
}
