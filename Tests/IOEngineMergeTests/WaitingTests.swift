import Glibc
import IOEngineCore
import IOEngineMerge
import IOEngineMock
import Synchronization
import SystemPackage
import TestSupport
import Testing
import ToyDriver

/// The driver: waiting, waking, timers, reaping.
@Suite struct WaitingTests {
    static let page = 4096

    /// A layer over memory, and memory for its requests.
    struct Rig: ~Copyable {
        var driver: MergingDriver<MockDriver>
        let memories: Memories
        let memory: Memory

        init(wait: Duration = .zero, depth: Int = 32, maximumVectors: Int = 1024) {
            memories = Memories(Device(size: 1 << 20).bytes, depth: depth, seed: 1)
            memories.maximumVectors = maximumVectors
            memories.longest = 0
            driver = MergingDriver(
                memories.makeDriver(), policy: MergePolicy(wait: wait, copiesPartsUpTo: 0))
            memory = Memory(depth * 8192)
        }

        func request(_ action: IOAction, _ slot: Int, page: Int) -> IORequest {
            unsafe IORequest(
                token: IOToken(slot: UInt32(slot), generation: 1), action: action, descriptor: 3,
                address: memory.address(slot * 8192), offset: Int64(page * 4096), length: 4096)
        }

        mutating func stage(_ slots: Range<Int>, page: Int) {
            for slot in slots {
                #expect(
                    driver.stage(request(.read, slot, page: page + slot - slots.lowerBound))
                        == .queued)
            }
        }

        mutating func reap(most: Int = 64) -> [Int: Int] { driver.answers(most: most) }
    }

    @Test func oneSubmissionJoinsWhatWasStaged() throws {
        var rig = Rig()
        rig.stage(0..<8, page: 5)
        #expect(rig.memories.requests == 0)
        #expect(rig.driver.submit(minimum: 8, deadline: nil) == .ready)
        #expect(rig.memories.requests == 1)
        #expect(rig.reap().count == 8)
        #expect(rig.driver.statistics.requestsOut == 1)
        #expect(rig.memories.violations.isEmpty, "\(rig.memories.violations)")
    }

    @Test func aWaitForManyCountsWhatJoinedRequestsBring() throws {
        var rig = Rig()
        rig.stage(0..<16, page: 0)
        rig.stage(16..<20, page: 100)
        rig.stage(20..<21, page: 200)
        // 21 requests as 3: never more are waited for.
        #expect(rig.driver.submit(minimum: 21, deadline: nil) == .ready)
        #expect(rig.memories.goals == [3])
        #expect(rig.reap().count == 21)

        rig.memories.goals = []
        rig.stage(0..<16, page: 0)
        rig.stage(16..<17, page: 100)
        #expect(rig.driver.submit(minimum: 3, deadline: nil) == .ready)
        #expect(rig.memories.goals == [1], "one may bring them all")
        #expect(rig.reap().count == 17)
    }

    @Test func whatIsFinishedAlreadyIsNotWaitedFor() throws {
        var rig = Rig()
        rig.stage(0..<8, page: 0)
        _ = rig.driver.submit(minimum: 1, deadline: nil)
        #expect(rig.reap(most: 2).count == 2)
        rig.memories.longest = 1000
        rig.stage(8..<9, page: 50)
        rig.memories.goals = []
        #expect(rig.driver.submit(minimum: 6, deadline: nil) == .ready)
        #expect(rig.memories.goals == [0], "handed down, but not waited for")
        #expect(rig.reap().count == 6)
    }

    @Test func aDeadlineEndsAWait() throws {
        var rig = Rig()
        rig.memories.longest = 1_000_000
        rig.stage(0..<4, page: 0)
        let soon = IOInstant(nanoseconds: 1)
        #expect(rig.driver.submit(minimum: 4, deadline: soon) == .deadlinePassed)
        #expect(rig.memories.clock == 1)
        #expect(rig.driver.submit(minimum: 4, deadline: nil) == .ready)
        #expect(rig.reap().count == 4)
        // With nothing in flight as well.
        let later = IOInstant(nanoseconds: 9_000_000)
        #expect(rig.driver.submit(minimum: 1, deadline: later) == .deadlinePassed)
        #expect(rig.memories.clock == 9_000_000)
    }

    @Test func aWakeUpEndsAWait() throws {
        var rig = Rig(wait: .microseconds(100))
        rig.memories.wakes = [5_000, 6_000]
        #expect(rig.driver.submit(minimum: 1, deadline: nil) == .woken)
        #expect(rig.memories.clock == 5_000)
        rig.stage(0..<1, page: 0)
        #expect(rig.driver.submit(minimum: 1, deadline: nil) == .woken)
        #expect(rig.memories.clock == 6_000 && rig.memories.requests == 0, "it still waits")
        #expect(rig.driver.submit(minimum: 1, deadline: nil) == .ready)
        #expect(rig.memories.clock == 105_000 && rig.reap() == [0: 4096])
    }

    @Test func theLayersTimerAlsoRunsOverAnIdleDriver() throws {
        var rig = Rig(wait: .microseconds(50))
        rig.stage(0..<3, page: 0)
        rig.memories.clock = 20_000
        rig.stage(3..<5, page: 3)
        #expect(rig.driver.submit(minimum: 5, deadline: nil) == .ready)
        #expect(rig.memories.clock == 50_000, "counted from the first")
        #expect(rig.memories.requests == 1 && rig.reap().count == 5)
        #expect(rig.driver.statistics.waits == 1)
    }

    @Test func anEarlierDeadlineLeavesThemWaiting() throws {
        var rig = Rig(wait: .microseconds(50))
        rig.stage(0..<3, page: 0)
        let early = IOInstant(nanoseconds: 10_000)
        #expect(rig.driver.submit(minimum: 1, deadline: early) == .deadlinePassed)
        #expect(rig.memories.clock == 10_000 && rig.memories.requests == 0)
        // A look without waiting hands nothing down before the time, and all of it after.
        #expect(rig.driver.submit(minimum: 0, deadline: nil) == .ready)
        #expect(rig.memories.requests == 0)
        rig.memories.clock = 50_000
        #expect(rig.driver.submit(minimum: 0, deadline: nil) == .ready)
        #expect(rig.memories.requests == 1)
    }

    @Test func completionsOfOthersEndAWaitBeforeTheTimer() throws {
        var rig = Rig(wait: .microseconds(50))
        rig.memories.longest = 30_000
        rig.stage(0..<32, page: 0)
        #expect(rig.driver.submit(minimum: 0, deadline: nil) == .ready)
        #expect(rig.memories.requests == 1, "all places are taken: nothing more can come")
        let first = rig.memories.inFlight[0].done
        #expect(rig.driver.submit(minimum: 1, deadline: nil) == .ready)
        #expect(rig.memories.clock == first && rig.reap().count == 32)
    }

    @Test func hasteHandsDownAtOnce() throws {
        var rig = Rig(wait: .seconds(1000))
        rig.stage(0..<3, page: 0)
        rig.driver.hasten()
        #expect(rig.memories.requests == 1 && rig.memories.hastened == 1)
        #expect(rig.driver.submit(minimum: 1, deadline: nil) == .ready)
        #expect(rig.memories.clock == 0 && rig.reap().count == 3)
        rig.driver.hasten()
        #expect(rig.memories.hastened == 2, "and the driver below hears of it each time")
    }

    @Test func partsThatAreRepeatedAreWaitedForInTheSameCall() throws {
        var rig = Rig()
        rig.memories.badRanges = [2 * 4096 + 5..<2 * 4096 + 6]
        rig.stage(0..<4, page: 0)
        #expect(rig.driver.submit(minimum: 1, deadline: nil) == .ready)
        #expect(rig.driver.submit(minimum: 4, deadline: nil) == .ready)
        #expect(rig.reap() == [0: 4096, 1: 4096, 2: Int(-EIO), 3: 4096])
        #expect(rig.memories.requests == 5)
    }

    /// Fails what is joined in the wait that somebody ends, and keeps the parts.
    private final class Failing: MockConductor {
        func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
            queue.take()
            for index in queue.inFlight.indices.reversed()
            where queue.inFlight[index].length > WaitingTests.page {
                queue.finish(at: index, .fails(.ioError))
            }
            if minimum > 0, queue.takeWakeUp() { return .woken }
            return minimum > 0 && queue.finished.isEmpty ? .deadlinePassed : .ready
        }
    }

    @Test func aWakeUpEndsTheWaitInWhichPartsAreToBeRepeated() throws {
        let device = MockDevice()
        let file = device.makeFile(Array(repeating: 1, count: 4 * Self.page))
        var driver = MergingDriver(device.makeDriver(depth: 8, conductor: Failing()))
        let waker = driver.waker
        let memory = Memory(4 * Self.page)
        for slot in 0..<4 {
            let request = unsafe IORequest(
                token: IOToken(slot: UInt32(slot), generation: 1), action: .read,
                descriptor: file.rawValue, address: memory.address(slot * Self.page),
                offset: Int64(slot * Self.page), length: Self.page)
            #expect(driver.stage(request) == .queued)
        }
        waker.wake()
        let later = driver.now().advanced(by: .seconds(1))
        #expect(driver.submit(minimum: 1, deadline: later) == .woken)
        #expect(driver.statistics.requestsOut == 1, "they were one")
        #expect(driver.submit(minimum: 1, deadline: later) == .deadlinePassed)
        #expect(driver.statistics.requestsOut == 5, "and are repeated one by one")
    }

    @Test func cancellationsReachWhoHasTheRequest() throws {
        var rig = Rig()
        rig.memories.longest = 1000
        rig.memories.stops = 100
        rig.stage(0..<4, page: 0)
        rig.stage(4..<5, page: 90)
        func token(_ slot: UInt32) -> IOToken { IOToken(slot: slot, generation: 1) }
        #expect(rig.driver.cancel(token(3)) == .cancelled)
        #expect(rig.driver.submit(minimum: 1, deadline: nil) == .ready)
        #expect(rig.reap() == [3: Int(-ECANCELED)])
        #expect(rig.driver.cancel(token(1)) == .tooLate)
        #expect(rig.driver.cancel(token(4)) == .requested, "alone: the driver below stops it")
        #expect(rig.driver.cancel(token(9)) == .unknown)
        var results: [Int: Int] = [:]
        for _ in 0..<4 {
            _ = rig.driver.submit(minimum: 1, deadline: nil)
            results.merge(rig.reap()) { _, _ in -9999 }
            if results.count == 4 { break }
        }
        #expect(results == [0: 4096, 1: 4096, 2: 4096, 4: Int(-ECANCELED)])
    }

    @Test func aFullDriverIsAskedAgain() throws {
        var rig = Rig()
        rig.memories.full = 60
        var results: [Int: Int] = [:]
        for round in 0..<50 {
            rig.stage(0..<8, page: 8 * (round % 10))
            rig.stage(8..<16, page: 200)
            rig.stage(16..<20, page: 100)
            results = [:]
            for _ in 0..<400 where results.count < 20 {
                #expect(rig.driver.submit(minimum: 20 - results.count, deadline: nil) == .ready)
                results.merge(rig.reap()) { _, _ in -9999 }
            }
            #expect(results.count == 20 && results.values.allSatisfy { $0 == 4096 })
        }
        #expect(rig.memories.violations.isEmpty, "\(rig.memories.violations)")
    }

    @Test func aDriverThatTakesNothingIsNotAskedForEver() throws {
        var rig = Rig()
        rig.memories.full = 100
        rig.stage(0..<3, page: 0)
        var results: [Int: Int] = [:]
        for _ in 0..<400 where results.count < 3 {
            #expect(rig.driver.submit(minimum: 1, deadline: nil) == .ready)
            results.merge(rig.reap()) { _, _ in -9999 }
        }
        #expect(results == [0: Int(-EAGAIN), 1: Int(-EAGAIN), 2: Int(-EAGAIN)])
    }

    @Test func overADriverThatNeverWaitsItWorksToo() throws {
        let path = TemporaryFolder.newPath("toy")
        let file = try FileDescriptor.open(
            FilePath(path), .readWrite, options: [.create, .truncate],
            permissions: .ownerReadWrite)
        defer { try? file.close() }
        var driver = MergingDriver(
            ToyDriver(depth: 8), policy: MergePolicy(wait: .microseconds(200)))
        #expect(driver.capabilities.name == "merge(toy)" && driver.capabilities.depth == 8)
        let memory = Memory(8 * 8192, byte: 9)
        func stage(_ action: IOAction) {
            for slot in 0..<6 {
                let request = unsafe IORequest(
                    token: IOToken(slot: UInt32(slot), generation: 1), action: action,
                    descriptor: file.rawValue, address: memory.address(slot * 8192),
                    offset: Int64(slot * 100), length: 100, traits: .known)
                #expect(driver.stage(request) == .queued)
            }
        }
        func finish() -> [Int: Int] {
            var results: [Int: Int] = [:]
            while results.count < 6 {
                #expect(driver.submit(minimum: 1, deadline: nil) == .ready)
                results.merge(driver.answers()) { _, _ in -9999 }
            }
            return results
        }
        stage(.write)
        #expect(finish().values.allSatisfy { $0 == 100 })
        for slot in 0..<6 {
            memory[slot * 8192..<slot * 8192 + 100] = Array(repeating: 0, count: 100)
        }
        stage(.read)
        #expect(finish().values.allSatisfy { $0 == 100 })
        for slot in 0..<6 {
            #expect(memory[slot * 8192..<slot * 8192 + 101].allSatisfy { $0 == 9 })
        }
        #expect(driver.statistics.requestsOut == 2 && driver.statistics.bytesCopied == 1200)
        #expect(driver.counters.systemCalls == 2)
    }

    @Test func droppedWithEverythingInFlightItEnds() throws {
        for submitted in [false, true] {
            var rig = Rig(wait: .seconds(1))
            rig.stage(0..<8, page: 0)
            if submitted {
                rig.driver.hasten()
                _ = rig.driver.submit(minimum: 0, deadline: nil)
            }
        }
    }
}

extension IODriver where Self: ~Copyable {
    /// What is finished now, at most `most`, by slot.
    mutating func answers(most: Int = 64) -> [Int: Int] {
        let space = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: most)
        defer { unsafe space.deallocate() }
        var span = unsafe OutputSpan(buffer: space, initializedCount: 0)
        reap(into: &span)
        let count = unsafe span.finalize(for: space)
        var results: [Int: Int] = [:]
        for i in 0..<count {
            let completion = unsafe space[i]
            let before = results.updateValue(completion.result, forKey: Int(completion.token.slot))
            #expect(before == nil, "a request is answered once")
        }
        return results
    }
}
