import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// Every accepted event comes back exactly once, with its buffer.
@Suite struct ExactlyOnceTests {
    typealias Loop = IOLoop<ClosureCallback, URingDriver>
    typealias Event = IOEvent<ClosureCallback>

    private func makeLoop(depth: Int) throws -> Loop {
        try Loop(depth: depth, driver: try URingDriver(depth: depth))
    }

    @Test("dropping a loop with reads in flight calls every callback once, with result and buffer")
    func drop() throws {
        let wanted = pattern(32 * 4096)
        let path = TemporaryFolder.newPath("drop")
        _ = try fileWith(wanted, at: path)
        let file = try IODescriptor.open(FilePath(path), .readOnly, direct: true)
        let calls = Counter()
        let right = Counter()
        for isSubmitted in [false, true] {
            var loop = try makeLoop(depth: 32)
            for i in 0..<32 {
                let event = Event.read(file, into: IOBuffer(capacity: 4096), at: Int64(i) * 4096)
                    .onCompletion { event in
                        calls.add()
                        let end = event.outcome
                        let bytes = Array(wanted[i * 4096..<(i + 1) * 4096])
                        if end.bytes == 4096, isEqual(event.buffer.bytes, bytes) { right.add() }
                    }
                let isAccepted = loop.submit(event).isAccepted
                #expect(isAccepted)
            }
            if isSubmitted { _ = loop.wait(minimum: 0) }
            #expect(calls.value == (isSubmitted ? 32 : 0))
        }
        #expect(calls.value == 64 && right.value == 64)
    }

    @Test("a full loop gives the event back, uncalled and unchanged")
    func full() throws {
        let file = try fileWith(pattern(4096))
        let calls = Counter()
        var loop = try makeLoop(depth: 2)
        for _ in 0..<2 {
            let isAccepted = loop.submit(
                Event.read(file, into: IOBuffer(capacity: 4096), at: 0)
                    .onCompletion { _ in calls.add() }
            ).isAccepted
            #expect(isAccepted)
        }
        let third = Event.read(file, into: IOBuffer(capacity: 123), at: 7)
            .onCompletion { _ in calls.add(100) }
        switch loop.submit(third) {
        case .accepted: Issue.record("there was no room")
        case .closed: Issue.record("it is not closed")
        case .full(let event):
            let (capacity, offset) = (event.buffer.capacity, event.offset)
            #expect(capacity == 123 && offset == 7)
        }
        while loop.inFlight > 0 { loop.run() }
        #expect(calls.value == 2)
    }

    /// Reads block after block with one buffer, each from the callback of the one before.
    struct Chain: IOCallback {
        var left: Int
        let done: Counter
        let refused: Counter

        consuming func call(
            _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
        ) {
            let isRight = event.outcome.bytes == 4096 && event.buffer.count == 4096
            if isRight { done.add() }
            left -= 1
            if left == 0 { return }
            event.restart(at: Int64(left % 8) * 4096)
            event.callback = self
            let refused = self.refused
            let isAccepted = submitter.submit(event).isAccepted
            if !isAccepted { refused.add() }
        }
    }

    @Test(
        "callbacks submit again through the submitter; one always finds room",
        arguments: [1, 4, 16])
    func chains(_ depth: Int) throws {
        let path = TemporaryFolder.newPath("chain")
        _ = try fileWith(pattern(8 * 4096), at: path)
        let file = try IODescriptor.open(FilePath(path), .readOnly, direct: true)
        let done = Counter()
        let refused = Counter()
        var loop = try IOLoop<Chain, URingDriver>(
            depth: depth, driver: try URingDriver(depth: depth))
        for _ in 0..<depth {
            let isAccepted = loop.submit(
                .read(
                    file, into: IOBuffer(capacity: 4096), at: 0,
                    callback: Chain(left: 200, done: done, refused: refused))
            ).isAccepted
            #expect(isAccepted)
        }
        while loop.inFlight > 0 { loop.run(minimum: loop.inFlight) }
        #expect(done.value == depth * 200)
        #expect(refused.value == 0)
        let statistics = loop.statistics
        #expect(statistics.completed == UInt64(depth * 200))
        #expect(statistics.completed == statistics.submitted && statistics.failed == 0)
    }

    @Test(
        "drain finishes what is in flight, refuses what callbacks submit, then takes events again")
    func drain() throws {
        let file = try fileWith(pattern(8 * 4096))
        let done = Counter()
        let refused = Counter()
        var loop = try IOLoop<Chain, URingDriver>(depth: 8, driver: try URingDriver(depth: 8))
        for i in 0..<8 {
            _ = loop.submit(
                .read(
                    file, into: IOBuffer(capacity: 4096), at: Int64(i) * 4096,
                    callback: Chain(left: 5, done: done, refused: refused)))
        }
        loop.drain()
        #expect(loop.inFlight == 0)
        #expect(done.value == 8 && refused.value == 8)
        let isAccepted = loop.submit(
            .read(
                file, into: IOBuffer(capacity: 4096), at: 0,
                callback: Chain(left: 1, done: done, refused: refused))
        ).isAccepted
        #expect(isAccepted)
        while loop.inFlight > 0 { loop.run() }
        #expect(done.value == 9)
    }

    @Test("a callback that submits several finds room for one and gets the others back")
    func several() throws {
        let file = try fileWith(pattern(4096))
        let accepted = Counter()
        let full = Counter()
        var loop = try makeLoop(depth: 2)
        let inner = Counter()
        let event = Event.read(
            file, into: IOBuffer(capacity: 64), at: 0,
            callback: ClosureCallback { _, submitter in
                for _ in 0..<5 {
                    let event = Event.read(
                        file, into: IOBuffer(capacity: 64), at: 0,
                        callback: ClosureCallback { _ in inner.add() })
                    let isAccepted = submitter.submit(event).isAccepted
                    if isAccepted { accepted.add() } else { full.add() }
                }
            })
        _ = loop.submit(event)
        while loop.inFlight > 0 { loop.run() }
        #expect(accepted.value == 2 && full.value == 3)
        #expect(inner.value == 2)
    }
}
