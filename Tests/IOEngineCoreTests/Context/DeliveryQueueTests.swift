import TestSupport
import Testing

@testable import IOEngineCore

@Suite struct DeliveryQueueTests {
    let alive = Counter()

    @Test func elementsComeOutInOrderOverManyLaps() {
        let queue = DeliveryQueue<Token>(capacity: 3)
        #expect(queue.mask == 3)
        var next = 0
        var last = 0
        for lap in 0..<1000 {
            #expect(Token.number(queue.pop()) == nil)
            for _ in 0...lap % 4 {
                queue.push(Token(last, alive))
                last += 1
            }
            #expect(alive.value == last - next)
            while let number = Token.number(queue.pop()) {
                #expect(number == next)
                next += 1
            }
        }
        #expect(next == last && alive.value == 0)
    }

    @Test func whatIsLeftEndsWithTheQueue() {
        do {
            let queue = DeliveryQueue<Token>(capacity: 4)
            for number in 0..<6 {
                if number >= 4 { #expect(Token.number(queue.pop()) == number - 4) }
                queue.push(Token(number, alive))
            }
            #expect(alive.value == 4)
        }
        #expect(alive.value == 0)
    }

    @Test func randomUseAgainstACount() {
        var random = SeededRandom()
        for _ in 0..<100 {
            let queue = DeliveryQueue<Token>(capacity: Int.random(in: 1...20, using: &random))
            var next = 0
            var last = 0
            for _ in 0..<500 {
                if last - next <= queue.mask, Bool.random(using: &random) {
                    queue.push(Token(last, alive))
                    last += 1
                } else if last > next {
                    #expect(Token.number(queue.pop()) == next, "\(random.note)")
                    next += 1
                } else {
                    #expect(Token.number(queue.pop()) == nil, "\(random.note)")
                }
            }
        }
        #expect(alive.value == 0, "\(random.note)")
    }
}
