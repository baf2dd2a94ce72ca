import BasicContainers
import Glibc
import IOEngineCore
import IOEngineMerge
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// The loop over the layer, where the two have to agree.
@Suite struct LoopTests {
    let file = FileDescriptor(rawValue: 3)

    @Test func anEventThatHasBegunIsNotCancelledUnseen() throws {
        // Without lists the event goes down buffer by buffer. The second has not begun, but the event.
        let memories = Memories(Device(size: 64 << 10).bytes, depth: 4, seed: 1)
        memories.maximumVectors = 0
        var loop = try IOLoop<NoCallback, MergingDriver<MockDriver>>(
            depth: 4, driver: MergingDriver(memories.makeDriver()))
        var buffers = UniqueArray<IOBuffer>()
        for _ in 0..<2 { buffers.append(IOBuffer(capacity: 4096)) }
        guard case .accepted(let ticket) = loop.submit(.read(file, into: buffers, at: 0)) else {
            throw Errno.noBufferSpace
        }
        _ = loop.wait(minimum: 1)
        let isFinished = loop.next() != nil
        #expect(!isFinished)
        #expect(loop.cancel(ticket) == .requested)
        _ = loop.wait(minimum: 1)
        guard let event = loop.next() else { throw Errno.timedOut }
        let transferred = event.transferred
        let errno = event.errno
        #expect(errno == .canceled && transferred == 4096)
    }

    @Test func aBadSectorHitsOnlyTheEventThatCoversIt() throws {
        for bad in 0..<32 {
            let memories = Memories(Device(size: 32 * 4096).bytes, depth: 32, seed: UInt64(bad))
            memories.badRanges = [bad * 4096 + 700..<bad * 4096 + 701]
            var loop = try IOLoop<NoCallback, MergingDriver<MockDriver>>(
                depth: 32, driver: MergingDriver(memories.makeDriver()))
            for writes in [false, true] {
                for page in 0..<32 {
                    let offset = Int64(page * 4096)
                    let isAccepted =
                        writes
                        ? loop.submit(.write(file, from: IOBuffer(zeroed: 4096), at: offset))
                            .isAccepted
                        : loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: offset))
                            .isAccepted
                    try #require(isAccepted)
                }
                var failed: [Int64] = []
                var count = 0
                while loop.inFlight > 0 {
                    _ = loop.wait(minimum: 1)
                    while let event = loop.next() {
                        count += 1
                        let errno = event.errno
                        if errno != nil { failed.append(event.offset) }
                        #expect(errno == nil || errno == .ioError)
                    }
                }
                #expect(count == 32 && failed == [Int64(bad * 4096)])
            }
            let statistics = loop.withDriver { $0.statistics }
            #expect(statistics.partsJoined == 64 && statistics.requestsOut == 2 + 64)
        }
    }

    @Test func anEventsDeadlineIsNotDelayedByTheLayer() throws {
        let memories = Memories(Device(size: 64 << 10).bytes, depth: 8, seed: 1)
        memories.longest = 0
        let policy = MergePolicy(wait: .seconds(10))
        var loop = try IOLoop<NoCallback, MergingDriver<MockDriver>>(
            depth: 8, driver: MergingDriver(memories.makeDriver(), policy: policy))
        let deadline = loop.now.advanced(by: .seconds(1))
        _ = loop.submit(
            .read(file, into: IOBuffer(capacity: 4096), at: 0), IOLimits(deadline: deadline))
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: 4096))
        _ = loop.wait(minimum: 2)
        #expect(memories.clock == 0, "a deadline hastens")
        var count = 0
        while let event = loop.next() {
            count += 1
            let isRight = event.errno == nil
            #expect(isRight)
        }
        #expect(count == 2 && memories.requests == 1)
    }

    @Test func aSyncDoesNotWaitForTheLayersTimer() throws {
        let memories = Memories(Device(size: 64 << 10).bytes, depth: 8, seed: 1)
        memories.longest = 0
        let policy = MergePolicy(wait: .seconds(10))
        var loop = try IOLoop<NoCallback, MergingDriver<MockDriver>>(
            depth: 8, driver: MergingDriver(memories.makeDriver(), policy: policy))
        for page in 0..<3 {
            _ = loop.submit(.write(file, from: IOBuffer(zeroed: 4096), at: Int64(page * 4096)))
        }
        _ = loop.submit(.sync(file))
        var count = 0
        for _ in 0..<10 where loop.inFlight > 0 {
            _ = loop.wait(minimum: 1)
            while let event = loop.next() {
                count += 1
                let isRight = event.errno == nil
                #expect(isRight)
            }
        }
        #expect(count == 4 && memories.clock == 0 && memories.requests == 2)
    }

    @Test func aLoopThatEndsWaitsForNothingButItsEvents() throws {
        let memories = Memories(Device(size: 64 << 10).bytes, depth: 8, seed: 1)
        memories.longest = 0
        let policy = MergePolicy(wait: .seconds(10))
        let counter = Counter()
        do {
            var loop = try IOLoop<ClosureCallback, MergingDriver<MockDriver>>(
                depth: 8, driver: MergingDriver(memories.makeDriver(), policy: policy))
            for page in 0..<3 {
                _ = loop.submit(
                    .write(
                        file, from: IOBuffer(zeroed: 4096), at: Int64(page * 4096),
                        callback: ClosureCallback { _ in counter.add() }))
            }
        }
        #expect(counter.value == 3 && memories.clock == 0 && memories.requests == 1)
    }
}
