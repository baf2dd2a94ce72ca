import BasicContainers
import IOEngineCore
import IOEngineMerge
import IOEngineMock
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// Collecting events into batches.
@Suite struct SubmitterTests {
    typealias Event = IOEvent<ClosureCallback>
    let file = FileDescriptor(rawValue: 3)

    /// Where batches go: takes as many events as it has room for.
    final class Target {
        var room = Int.max
        var batches: [[Int64]] = []

        func take(_ batch: inout UniqueArray<Event>) {
            var taken: [Int64] = []
            while taken.count < room, !batch.isEmpty {
                taken.append(batch.remove(at: 0).offset)
            }
            room -= taken.count
            if !taken.isEmpty { batches.append(taken) }
        }
    }

    private func write(_ offset: Int64, _ count: Int = 4096) -> Event {
        .write(file, from: IOBuffer(zeroed: count), at: offset)
    }

    private func submitter(
        _ target: Target, bytes: Int = 16384, events: Int = 256
    ) -> MergeSubmitter<ClosureCallback> {
        MergeSubmitter(maximumBytes: bytes, maximumEvents: events) { target.take(&$0) }
    }

    @Test func aFullBatchGoesByItself() throws {
        let target = Target()
        var submitter = submitter(target)
        for i in 0..<10 {
            let isCollected = submitter.add(write(Int64(i) * 4096)).isCollected
            #expect(isCollected)
        }
        #expect(target.batches == [[0, 4096, 8192, 12288], [16384, 20480, 24576, 28672]])
        let (count, bytes) = (submitter.count, submitter.bytes)
        #expect(count == 2 && bytes == 8192)
        let left = submitter.flush()
        #expect(left == 0 && target.batches.count == 3)
        let none = submitter.flush()
        #expect(none == 0 && target.batches.count == 3, "nothing is handed over twice")
    }

    @Test func theLimitIsThatOfAllBytesTogether() throws {
        let target = Target()
        var submitter = submitter(target, bytes: 10_000, events: 3)
        for (i, count) in [6000, 5000, 5000, 20_000, 1, 1, 1, 1].enumerated() {
            _ = submitter.add(write(Int64(i), count))
        }
        submitter.flush()
        #expect(target.batches == [[0], [1, 2], [3], [4, 5, 6], [7]])
    }

    @Test func anotherKindBeginsAnotherBatch() throws {
        let target = Target()
        var submitter = submitter(target)
        func add(_ event: consuming Event, _ flags: IOFlags = []) {
            event.flags = flags
            let isCollected = submitter.add(event).isCollected
            #expect(isCollected)
        }
        add(write(0))
        add(write(1))
        add(.read(file, into: IOBuffer(capacity: 8), at: 2))
        add(.read(FileDescriptor(rawValue: 4), into: IOBuffer(capacity: 8), at: 3))
        add(write(4), .dataSync)
        add(write(5), .dataSync)
        add(.sync(file))
        add(.sync(file))
        add(write(6))
        submitter.flush()
        #expect(target.batches == [[0, 1], [2], [3], [4, 5], [0], [0], [6]])
    }

    @Test func whatNobodyTakesStaysAndThenThereIsNoMoreRoom() throws {
        let target = Target()
        target.room = 5
        var submitter = submitter(target)
        for i in 0..<8 {
            let isCollected = submitter.add(write(Int64(i))).isCollected
            #expect(isCollected, "the second batch is left in part")
        }
        #expect(target.batches == [[0, 1, 2, 3], [4]])
        // 5, 6 and 7 are left: there is room for one more, but not for two.
        let first = submitter.add(write(8)).isCollected
        #expect(first)
        guard case .full(let event) = submitter.add(write(9)) else {
            Issue.record("there is no room")
            return
        }
        let (offset, count) = (event.offset, submitter.count)
        #expect(offset == 9 && count == 4)
        target.room = 2
        let left = submitter.flush()
        #expect(left == 2)
        target.room = .max
        let last = submitter.add(event).isCollected
        #expect(last)
        submitter.flush()
        #expect(target.batches.flatMap { $0 } == (0..<10).map { $0 })
    }

    @Test func droppedItHandsOverWhatItCanAndEndsTheRest() throws {
        let target = Target()
        target.room = 2
        let ended = Mutex<[Int64: Errno?]>([:])
        do {
            var submitter = submitter(target, bytes: 1 << 20)
            for i in 0..<5 {
                var event = write(Int64(i))
                event.callback = ClosureCallback { event, submitter in
                    let errno = event.errno
                    let isDone = event.isDone && event.buffer.count == 4096
                    #expect(isDone, "with its buffer")
                    let offset = event.offset
                    ended.withLock { $0[offset] = errno }
                    // Nobody takes it any more.
                    guard case .closed = submitter.submit(event) else {
                        Issue.record("must be closed")
                        return
                    }
                }
                _ = submitter.add(event)
            }
        }
        #expect(target.batches == [[0, 1]])
        let found = ended.withLock { $0 }
        #expect(found == [2: .canceled, 3: .canceled, 4: .canceled])
    }

    @Test func withoutATargetItsEventsEndWithIt() throws {
        let counter = Counter()
        do {
            var submitter = MergeSubmitter<ClosureCallback>(maximumEvents: 2)
            for i in 0..<3 {
                var event = write(Int64(i))
                event.callback = ClosureCallback { event in
                    let errno = event.errno
                    #expect(errno == .canceled)
                    counter.add()
                }
                let isCollected = submitter.add(event).isCollected
                #expect(isCollected == (i < 2))
            }
        }
        #expect(counter.value == 2, "the third came back")
    }

    @Test func aLoopIsLentForEachCall() throws {
        let memories = Memories(Device(size: 64 << 10).bytes, depth: 4, seed: 1)
        var loop = try IOLoop<ClosureCallback, MergingDriver<MockDriver>>(
            depth: 4, driver: MergingDriver(memories.makeDriver()))
        var submitter = MergeSubmitter<ClosureCallback>(maximumBytes: 3 * 4096)
        let finished = Counter()
        for i in 0..<7 {
            var event = write(Int64(i) * 4096)
            event.callback = ClosureCallback { event in
                let errno = event.errno
                #expect(errno == nil)
                finished.add()
            }
            let isCollected = submitter.add(event, into: &loop).isCollected
            #expect(isCollected == (i < 7), "three in the loop and one, and three here")
        }
        let (inFlight, count) = (loop.inFlight, submitter.count)
        #expect(inFlight == 4 && count == 3)
        while loop.inFlight > 0 {
            loop.run()
            submitter.flush(into: &loop)
        }
        #expect(finished.value == 7 && submitter.count == 0)
        #expect(memories.requests == 2)
    }

    @Test(
        .enabled(
            if: OracleTests.hasURing, "needs io_uring, which this machine does not grant"))
    func producersOfAContextLoseNothing() throws {
        let path = FilePath(TemporaryFolder.newPath("submitter"))
        let target = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
        let counter = Counter()
        do {
            let context = try IOContext<ClosureCallback, MergingDriver<URingDriver>>(depth: 32) {
                () throws(IOError) in MergingDriver(try URingDriver(depth: 32))
            }
            var submitter = MergeSubmitter<ClosureCallback>(maximumBytes: 32 << 10) {
                context.submit(contentsOf: &$0)
            }
            for i in 0..<100 {
                let event: Event = .write(
                    target, from: IOBuffer(copying: [UInt8](repeating: UInt8(i), count: 1000)),
                    at: Int64(i * 1000),
                    callback: ClosureCallback { event in
                        let errno = event.errno
                        #expect(errno == nil)
                        counter.add()
                    })
                let isCollected = submitter.add(event).isCollected
                #expect(isCollected)
            }
            submitter.flush()
            try context.drain()
            #expect(counter.value == 100)
            // What comes after the end is not lost either.
            context.shutdown()
            _ = submitter.add(
                Event.noOperation(
                    callback: ClosureCallback { event in
                        let errno = event.errno
                        #expect(errno == .canceled)
                        counter.add()
                    }))
        }
        #expect(counter.value == 101)
        let bytes = try unsafe [UInt8](unsafeUninitializedCapacity: 100_001) { space, count in
            count = try unsafe target.fileDescriptor.read(
                fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(space))
        }
        let isRight = bytes.count == 100_000 && (0..<100_000).allSatisfy { bytes[$0] == $0 / 1000 }
        #expect(isRight)
    }
}
