import BasicContainers
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import IOEngineCore

/// A context's loop step by step, with the other threads between two steps.
@Suite struct HandDrivenTests {
    typealias Event = Named<ClosureCallback>
    typealias End = SteeredLoop.End

    /// What came back, in order.
    final class Log: Sendable {
        private let ends = LockedValue<[End]>([])
        var all: [End] { ends.withLock { $0 } }
        var names: [Int] { all.map(\.name) }

        func note(_ event: borrowing IOEvent<ClosureCallback>) {
            var end = End(name: Int(event.priority.rawValue), errno: event.errno)
            if case .failure(let error) = event.result { end.reason = error.reason }
            end.transferred = event.transferred
            end.isSettled = event.isSettled
            ends.withLock { [end] in $0.append(end) }
        }

        /// A callback that only notes.
        var callback: ClosureCallback { ClosureCallback { event in self.note(event) } }
    }

    let log = Log()

    func make(
        _ script: TimedScript, queue: Int = 8, maximumBytes: Int = .max, hasWorkers: Bool = false,
        onSettled: (@Sendable (IOSettlement) -> Void)? = nil
    ) throws -> HandDrivenContext<ClosureCallback> {
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = queue
        configuration.maximumBytesInFlight = maximumBytes
        if hasWorkers { configuration.workers = IOWorkers(threadless: ()) }
        return try HandDrivenContext(script, configuration, onSettled: onSettled)
    }

    func accepted(_ outcome: consuming IOSubmission<ClosureCallback>) throws -> IOTicket {
        guard case .accepted(let ticket) = outcome else { throw Missing() }
        return ticket
    }

    /// Lets everything go, so that the loop ends.
    func end(_ context: HandDrivenContext<ClosureCallback>, _ script: TimedScript) {
        if context.hasEnded { return }
        context.shutDown()
        for _ in 0..<100 where !context.hasEnded {
            script.fullFor = 0
            script.stuck = 0
            script.thaw()
            _ = context.cycle()
            while !context.hasEnded, context.runWorker() {}
        }
        #expect(context.hasEnded)
        #expect(script.violations == [])
    }

    // MARK: Syncs

    @Test func aSyncFromTheLoopGoesBehindWhatAWorkerSubmittedToAFullQueue() throws {
        let script = TimedScript.steered(depth: 8)
        let context = try make(script, queue: 2, hasWorkers: true)
        let log = log
        _ = context.submit(
            Event.named(
                1,
                .noOperation(
                    callback: ClosureCallback { _, submitter in
                        _ = submitter.submit(Event.write(5, callback: log.callback))
                    })))
        _ = context.cycle()
        script.answer(1)
        _ = context.cycle()
        for name in 2...3 { _ = context.submit(Event.read(name, callback: log.callback)) }
        #expect(context.runWorker())
        // A job on the loop's thread, before the loop has looked.
        _ = context.submitOnLoop(Event.sync(6, callback: log.callback))
        _ = context.cycle()
        #expect(script.begun.contains(5) && !script.begun.contains(6))
        script.answer(5)
        _ = context.cycle()
        #expect(script.begun.contains(6))
        end(context, script)
    }

    @Test func aSyncFromACallbackDoesNotOvertakeProducers() throws {
        let script = TimedScript.steered(depth: 2)
        let context = try make(script)
        let log = log
        _ = context.submit(
            Event.read(
                1,
                callback: ClosureCallback { _, submitter in
                    _ = submitter.submit(Event.sync(3, callback: log.callback))
                }))
        _ = context.submit(Event.read(9, callback: log.callback))
        _ = context.cycle()
        _ = context.submit(Event.write(2, callback: log.callback))
        script.answer(1)
        for _ in 0..<3 { _ = context.cycle() }
        #expect(script.begun == [9, 2])
        script.answer(9)
        for _ in 0..<3 { _ = context.cycle() }
        #expect(script.begun == [2])
        script.answer(2)
        for _ in 0..<3 { _ = context.cycle() }
        #expect(script.begun == [3])
        end(context, script)
    }

    // MARK: Turns

    @Test func callbacksThatSubmitForEverDoNotKeepAProducerOut() throws {
        for hasWorkers in [false, true] {
            let script = TimedScript.steered(depth: 2)
            script.stuck = 0
            script.longest = 0
            let context = try make(script, hasWorkers: hasWorkers)
            let log = Log()
            let rounds = Counter()
            @Sendable func again(
                _ event: consuming IOEvent<ClosureCallback>,
                _ submitter: borrowing IOSubmitter<ClosureCallback>
            ) {
                rounds.add()
                if rounds.value > 500 { return }
                event.restart()
                event.callback = ClosureCallback(again)
                if !submitter.submit(event).isAccepted {
                    Issue.record("one submission always succeeds")
                }
            }
            for name in 1...2 {
                _ = context.submit(Event.read(name, callback: ClosureCallback(again)))
            }
            func go(_ cycles: Int) {
                for _ in 0..<cycles {
                    _ = context.cycle()
                    while context.runWorker() {}
                }
            }
            go(5)
            for name in 3...6 { _ = context.submit(Event.read(name, callback: log.callback)) }
            go(12)
            #expect(log.names == [3, 4, 5, 6])
            #expect(rounds.value > 8 && rounds.value < 500)
            rounds.add(500)
            end(context, script)
        }
    }

    // MARK: Cancelling

    @Test func aTicketIsGoodWhereverItsEventIs() throws {
        let script = TimedScript.steered(depth: 1)
        let context = try make(script, hasWorkers: true)
        let first = try accepted(context.submit(Event.read(1, callback: log.callback)))
        _ = context.cycle()
        let queued = try accepted(context.submit(Event.read(2, callback: log.callback)))
        #expect(context.cancelOnLoop(queued) == .cancelled)
        #expect(context.cancelOnLoop(queued) == .unknown)
        #expect(context.cancelOnLoop(first) == .tooLate)
        script.answer(1)
        for _ in 0..<2 { _ = context.cycle() }
        // At the workers.
        #expect(context.cancelOnLoop(first) == .unknown)
        while context.runWorker() {}
        #expect(log.all == [.cancelled(2), .success(1, 100)])
        end(context, script)
    }

    @Test func aCallbackMayCancelWhatIsBeingCancelled() throws {
        let script = TimedScript.steered(depth: 2)
        let context = try make(script)
        let log = log
        nonisolated(unsafe) let side = context
        nonisolated(unsafe) var tickets: [IOTicket] = []
        let answers = Slot<[IOCancellation]>()
        // Both submit again behind what waits; the first to come back then cancels the second.
        for name in 1...2 {
            _ = context.submit(
                Event.read(
                    name,
                    callback: ClosureCallback { event, submitter in
                        let name = Int(event.priority.rawValue)
                        let next: IOEvent<ClosureCallback> = Event.read(
                            name + 10,
                            callback: ClosureCallback { event, _ in
                                log.note(event)
                                guard unsafe tickets.count == 2 else { return }
                                let second = unsafe tickets.removeLast()
                                answers.put([unsafe side.cancelOnLoop(second)])
                            })
                        if case .accepted(let ticket) = submitter.submit(next) {
                            unsafe tickets.append(ticket)
                        }
                    }))
        }
        _ = context.cycle()
        for name in 3...4 { _ = context.submit(Event.read(name, callback: log.callback)) }
        script.answer(1)
        script.answer(2)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(unsafe tickets.count == 2)
        let reply = Reply<Int>()
        _ = context.shared.send(.cancelAll(.all, reply))
        for _ in 0..<3 { _ = context.cycle() }
        #expect(reply.answer == 4)
        #expect(try answers.take() == [.unknown])
        #expect(log.names.sorted() == [11, 12])
        end(context, script)
    }

    @Test func theFirstEventOfAQueuedChainTakesTheOthersAlong() throws {
        let script = TimedScript.steered(depth: 3)
        let context = try make(script)
        _ = context.submit(Event.read(9, callback: log.callback))
        _ = context.cycle()
        var chain = UniqueArray<IOEvent<ClosureCallback>>()
        for name in 1...3 { chain.append(Event.read(name, callback: log.callback)) }
        guard case .accepted(let tickets) = context.submit(chain: chain) else { throw Missing() }
        _ = context.cycle()
        #expect(context.cancelOnLoop(tickets[2]) == .cancelled)
        #expect(context.cancelOnLoop(tickets[0]) == .cancelled)
        #expect(context.cancelOnLoop(tickets[1]) == .unknown)
        _ = context.cycle()
        #expect(
            log.all == [
                .cancelled(1), .failure(2, .canceled, .chainBroken), .cancelled(3),
            ])
        #expect(script.begun == [9])
        end(context, script)
    }

    // MARK: Deadlines

    @Test func aDeadlineReachesWhatHasNoSlot() throws {
        let script = TimedScript.steered(depth: 1)
        let context = try make(script)
        _ = context.submit(Event.read(1, callback: log.callback))
        _ = context.cycle()
        let start = script.clock
        for (name, after) in [(2, 500), (3, 200), (4, 5000)] {
            _ = context.submit(
                Event.read(name, callback: log.callback),
                IOLimits(deadline: IOInstant(nanoseconds: start + Int64(after))))
        }
        // Each round sleeps until the next deadline.
        _ = context.cycle()
        #expect(script.clock == start + 200)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(script.clock == start + 500)
        _ = context.cycle()
        script.answer(1)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(
            log.all == [
                .failure(3, .timedOut, .deadlinePassed), .failure(2, .timedOut, .deadlinePassed),
                .success(1, 100),
            ])
        #expect(script.begun == [4])
        end(context, script)
    }

    // MARK: Draining

    @Test func aDrainWaitsForCallbacksAtWorkersAndForNothingLater() throws {
        let script = TimedScript.steered(depth: 4)
        let context = try make(script, hasWorkers: true)
        for name in 1...2 { _ = context.submit(Event.read(name, callback: log.callback)) }
        _ = context.cycle()
        let reply = Reply<Bool>()
        _ = context.shared.send(.drain(fence: context.shared.queue.end, reply))
        _ = context.submit(Event.read(3, callback: log.callback))
        script.answer(1)
        script.answer(2)
        for _ in 0..<2 { _ = context.cycle() }
        #expect(script.begun == [3] && reply.answer == nil)
        #expect(context.runWorker())
        _ = context.cycle()
        #expect(reply.answer == nil)
        #expect(context.runWorker())
        _ = context.cycle()
        #expect(reply.answer == true && log.names == [1, 2])
        end(context, script)
    }

    @Test func aDrainWaitsForTheCallbackOfWhatWasGivenUpAndForItsSettlement() throws {
        for settlesFirst in [false, true] {
            let script = TimedScript.steered(depth: 4)
            let log = Log()
            let settled = Counter()
            let context = try make(script, hasWorkers: true) { _ in settled.add() }
            let ticket = try accepted(
                context.submit(
                    Event.write(1, callback: log.callback),
                    IOLimits(abandonAfter: .nanoseconds(0))))
            _ = context.cycle()
            let reply = Reply<Bool>()
            _ = context.shared.send(.drain(fence: context.shared.queue.end, reply))
            _ = context.cycle()
            #expect(context.cancelOnLoop(ticket) == .requested)
            for _ in 0..<2 { _ = context.cycle() }
            for step in 0..<2 {
                #expect(reply.answer == nil)
                if (step == 0) == settlesFirst {
                    script.answer(1)
                } else {
                    #expect(context.runWorker())
                }
                for _ in 0..<2 { _ = context.cycle() }
            }
            #expect(reply.answer == true && settled.value == 1)
            #expect(log.all.map(\.isSettled) == [false])
            end(context, script)
        }
    }

    // MARK: The end

    @Test func aShutdownWithADeadlineCallsEverythingBackAlthoughNothingSettles() throws {
        for hasWorkers in [false, true] {
            let script = TimedScript.steered(depth: 3)
            let log = Log()
            let settled = Counter()
            let context = try make(script, hasWorkers: hasWorkers) { _ in settled.add() }
            _ = context.submit(Event.write(1, callback: log.callback))
            _ = context.submit(Event.write(2, callback: log.callback))
            _ = context.submit(Event.sync(3, callback: log.callback))
            _ = context.cycle()
            var chain = UniqueArray<IOEvent<ClosureCallback>>()
            for name in 4...6 { chain.append(Event.read(name, callback: log.callback)) }
            _ = context.submit(chain: chain)
            _ = context.submit(Event.read(7, callback: log.callback))
            let start = script.clock
            context.shutDown(deadline: start + 1000)
            for _ in 0..<12 {
                _ = context.cycle()
                while context.runWorker() {}
            }
            #expect(log.names.sorted() == Array(1...7))
            #expect(Set(log.all.filter { !$0.isSettled }.map(\.name)) == [1, 2])
            #expect(context.hasCalledAll)
            #expect(context.shared.unsettled.load(ordering: .relaxed) == 2)
            #expect(script.clock == start + 1000 + 100_000_000)
            #expect(!context.hasEnded && settled.value == 0)
            script.thaw()
            for _ in 0..<4 where !context.hasEnded { _ = context.cycle() }
            #expect(context.hasEnded && settled.value == 2)
        }
    }

    @Test func aDeadDriverGivesEverythingBackThroughTheWorkers() throws {
        let script = TimedScript.steered(depth: 2)
        let context = try make(script, hasWorkers: true)
        _ = context.submit(Event.write(1, callback: log.callback))
        _ = context.submit(Event.sync(2, callback: log.callback))
        _ = context.submit(Event.read(3, callback: log.callback))
        _ = context.cycle()
        script.isDead = true
        for _ in 0..<6 { _ = context.cycle() }
        #expect(log.all.isEmpty)
        while context.runWorker() {}
        for _ in 0..<4 where !context.hasEnded { _ = context.cycle() }
        #expect(context.hasEnded)
        #expect(log.names.sorted() == [1, 2, 3])
        #expect(log.all.filter { !$0.isSettled }.map(\.name) == [1])
        #expect(log.all.allSatisfy { $0.errno == .canceled })
    }

    @Test func aLoopThatEndsLetsItsDescriptorsGo() throws {
        let script = TimedScript.steered(depth: 2)
        let object = IODescriptor(simulated: 5, facts: IODescriptorFacts())
        let context = try make(script)
        _ = context.submit(
            .read(object, into: IOBuffer(capacity: 8), at: 0, callback: log.callback))
        _ = context.cycle()
        context.shutDown()
        script.thaw()
        #expect(context.finish(10))
        #expect(try object.close() == true)
    }

    @Test func whatIsClaimedBeforeTheEndAndFilledAfterIsCalledBack() throws {
        let script = TimedScript.steered(depth: 1)
        let context = try make(script)
        _ = context.submit(Event.write(1, callback: log.callback))
        _ = context.cycle()
        guard case .position(let place) = context.shared.queue.claim(1) else { throw Missing() }
        context.shutDown(deadline: script.clock - 1)
        for _ in 0..<4 { _ = context.cycle() }
        #expect(log.all.map(\.isSettled) == [false])
        #expect(!context.hasCalledAll)
        context.shared.queue.fill(
            place, QueuedEvent(Event.read(2, callback: log.callback), .none))
        for _ in 0..<4 { _ = context.cycle() }
        #expect(log.all.last == .cancelled(2))
        #expect(context.hasCalledAll)
        script.thaw()
        #expect(context.finish(10))
    }
}
