import IOEngineMock
import SystemPackage
import TestSupport
import Testing

@testable import IOEngineCore

/// Lists that callbacks can refill do not keep what else is finished, deadlines or the end waiting.
@Suite struct FairnessTests {
    /// Submits its event again whatever became of it, or notes that it was called.
    struct Stubborn: IOCallback {
        enum Way: CaseIterable {
            case notes, inPlace, fromCallback
        }

        nonisolated(unsafe) let world: World
        let way: Way

        static func resubmits(_ event: inout IOEvent<Stubborn>) -> Bool {
            guard let callback = event.callback, callback.way == .inPlace,
                unsafe callback.world.goesOn
            else { return false }
            unsafe callback.world.rounds += 1
            event.restart()
            return true
        }

        consuming func call(
            _ event: consuming IOEvent<Stubborn>, _ submitter: borrowing IOSubmitter<Stubborn>
        ) {
            let world = unsafe self.world
            world.ends.append((Int(event.priority.rawValue), event.errno))
            guard way == .fromCallback, world.goesOn else { return }
            world.rounds += 1
            event.restart()
            event.callback = self
            if !submitter.submit(event).isAccepted { world.refusals += 1 }
        }
    }

    final class World {
        var goesOn = true
        var rounds = 0
        var refusals = 0
        var ends: [(name: Int, errno: Errno?)] = []

        func errnos(of name: Int) -> [Errno?] { ends.filter { $0.name == name }.map(\.errno) }
    }

    /// What is refused at once, each time.
    enum Refusal: CaseIterable {
        case badOffset, closedDescriptor, stickySync
    }

    static let cases: [(Refusal, Stubborn.Way)] = Refusal.allCases.flatMap { refusal in
        [(refusal, .inPlace), (refusal, .fromCallback)]
    }

    typealias Event = Named<Stubborn>

    func refused<C: IOCallback>(_ refusal: Refusal, _ callback: C?) -> IOEvent<C> {
        let object = IODescriptor(simulated: 5, facts: IODescriptorFacts())
        switch refusal {
        case .badOffset:
            return Named.named(
                1, .read(Named<C>.file, into: IOBuffer(capacity: 8), at: -1, callback: callback))
        case .closedDescriptor:
            _ = try? object.close()
            return Named.named(
                1, .read(object, into: IOBuffer(capacity: 8), at: 0, callback: callback))
        case .stickySync:
            object.setSyncError(Errno.ioError.rawValue)
            return Named.named(1, .sync(object, callback: callback))
        }
    }

    // MARK: Loops

    @Test(arguments: cases)
    func aLoopThatRunsReapsAndKeepsDeadlines(_ refusal: Refusal, _ way: Stubborn.Way) throws {
        let world = World()
        let script = TimedScript.steered(depth: 4)
        var loop = try IOLoop<Stubborn, MockDriver>(depth: 4, driver: script.makeDriver())
        _ = loop.submit(refused(refusal, Stubborn(world: world, way: way)))
        _ = loop.submit(Event.read(2, callback: Stubborn(world: world, way: .notes)))
        script.stoppings = [.obeys]
        _ = loop.submit(
            Event.read(3, callback: Stubborn(world: world, way: .notes)),
            IOLimits(deadline: IOInstant(nanoseconds: script.clock + 10)))
        loop.run()
        script.answer(2)
        script.clock += 1000
        for _ in 0..<10 {
            loop.run()
            script.clock += 100
        }
        #expect(world.errnos(of: 2) == [nil])
        #expect(world.errnos(of: 3) == [.timedOut])
        // One that is refused again and again comes back once a round.
        #expect(world.rounds >= 10 && world.rounds <= 30)
        // For all that is in flight, the end comes, too.
        loop.drain()
        #expect(loop.inFlight == 0)
        #expect(world.refusals <= 1)
    }

    @Test(arguments: Refusal.allCases)
    func aLoopThatShowsEventsReapsAll(_ refusal: Refusal) throws {
        var steered = try SteeredLoop(depth: 4)
        try steered.submit(refused(refusal, NoCallback?.none))
        try steered.submit(Named<NoCallback>.read(2))
        _ = steered.loop.wait(minimum: 0)
        steered.script.answer(2)
        var seen: [Int] = []
        for _ in 0..<5 {
            _ = steered.loop.wait(minimum: 0)
            steered.loop.forEachFinished { event in
                seen.append(Int(event.priority.rawValue))
                guard event.priority.rawValue == 1 else { return .release }
                event.restart()
                return .submitAgain
            }
        }
        #expect(seen.filter { $0 == 2 }.count == 1)
        #expect(seen.count <= 10)
    }

    /// Also one that is pulled for ever, without a wait.
    @Test(arguments: Refusal.allCases)
    func aLoopThatIsPulledHandsDownReapsAndKeepsDeadlines(_ refusal: Refusal) throws {
        var steered = try SteeredLoop(depth: 4)
        try steered.submit(refused(refusal, NoCallback?.none))
        try steered.submit(Named<NoCallback>.read(2))
        steered.script.stoppings = [.obeys]
        try steered.submit(
            Named<NoCallback>.read(3),
            IOLimits(deadline: IOInstant(nanoseconds: steered.script.clock + 3000)))
        var seen: [Int] = []
        var errnos: [Errno?] = []
        while seen.count < 100, var event = steered.loop.next() {
            steered.script.clock += 100
            seen.append(Int(event.priority.rawValue))
            if event.priority.rawValue != 1 { errnos.append(event.errno) }
            if seen.count == 20 { steered.script.answer(2) }
            guard event.priority.rawValue == 1 else { continue }
            event.restart()
            try steered.submit(event)
        }
        #expect(seen.filter { $0 == 2 }.count == 1 && seen.filter { $0 == 3 }.count == 1)
        #expect(errnos == [nil, .timedOut])
    }

    /// What is refused can be had without a wait, and what is refused meanwhile at the next look.
    @Test func whatIsRefusedIsThereAtOnce() throws {
        var steered = try SteeredLoop(depth: 4)
        for _ in 0..<3 {
            try steered.submit(refused(.badOffset, NoCallback?.none))
            #expect(try unwrap(steered.loop.next()).errno == .invalidArgument)
        }
        for _ in 0..<4 { try steered.submit(refused(.badOffset, NoCallback?.none)) }
        #expect(steered.loop.forEachFinished { _ in .release } == 4)
    }

    // MARK: Contexts

    func make(
        _ script: TimedScript, depth: Int, hasWorkers: Bool = false
    ) throws -> HandDrivenContext<Stubborn> {
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = 8
        if hasWorkers { configuration.workers = IOWorkers(threadless: ()) }
        return try HandDrivenContext(script, depth: depth, configuration)
    }

    func end(_ context: HandDrivenContext<Stubborn>, _ script: TimedScript) {
        context.shutDown()
        for _ in 0..<100 where !context.hasEnded {
            script.thaw()
            _ = context.cycle()
            while !context.hasEnded, context.runWorker() {}
        }
        #expect(context.hasEnded)
        #expect(script.violations == [])
    }

    @Test(arguments: cases, [false, true])
    func aContextReapsKeepsDeadlinesDrainsAndEnds(
        _ stubborn: (refusal: Refusal, way: Stubborn.Way), hasWorkers: Bool
    ) throws {
        if hasWorkers, stubborn.way == .inPlace { return }
        let world = World()
        let script = TimedScript.steered(depth: 4)
        let context = try make(script, depth: 4, hasWorkers: hasWorkers)
        func go(_ cycles: Int) {
            for _ in 0..<cycles {
                _ = context.cycle()
                script.clock += 100
                if hasWorkers { for _ in 0..<4 where context.runWorker() {} }
            }
        }
        _ = context.submit(refused(stubborn.refusal, Stubborn(world: world, way: stubborn.way)))
        _ = context.submit(Event.read(2, callback: Stubborn(world: world, way: .notes)))
        _ = context.submit(Event.read(4, callback: Stubborn(world: world, way: .notes)))
        script.stoppings = [.obeys]
        _ = context.submit(
            Event.read(3, callback: Stubborn(world: world, way: .notes)),
            IOLimits(deadline: IOInstant(nanoseconds: script.clock + 10)))
        go(2)
        script.answer(2)
        script.clock += 1000
        go(10)
        #expect(world.errnos(of: 2) == [nil])
        #expect(world.errnos(of: 3) == [.timedOut])
        // A drain and a producer get their turns.
        let drained = Reply<Bool>()
        _ = context.shared.send(.drain(fence: context.shared.queue.end, drained))
        _ = context.submit(Event.read(6, callback: Stubborn(world: world, way: .notes)))
        go(1)
        script.answer(4)
        go(5)
        #expect(drained.answer == true)
        #expect(script.begun == [6])
        #expect(world.rounds < 100)
        end(context, script)
        #expect(world.refusals <= 1)
    }

    /// Submits another event behind what waits and cancels it again, which then ends without a
    /// slot.
    struct Fickle: IOCallback {
        nonisolated(unsafe) let world: FickleWorld

        consuming func call(
            _ event: consuming IOEvent<Fickle>, _ submitter: borrowing IOSubmitter<Fickle>
        ) {
            let world = unsafe self.world
            let name = Int(event.priority.rawValue)
            world.names.append(name)
            guard name < 5, world.names.count < 200, let context = world.context else { return }
            let next = Named<Fickle>.read(name, callback: Fickle(world: world))
            guard case .accepted(let ticket) = submitter.submit(next) else { return }
            world.answers.insert("\(context.cancelOnLoop(ticket))")
        }
    }

    final class FickleWorld {
        var names: [Int] = []
        var answers: Set<String> = []
        var context: HandDrivenContext<Fickle>?
    }

    @Test func whatEndsWithoutASlotDoesNotHoldUpWhatHasOne() throws {
        let script = TimedScript.steered(depth: 1)
        let world = FickleWorld()
        let context = try HandDrivenContext<Fickle>(script)
        world.context = context
        _ = context.submit(Named.read(9, callback: Fickle(world: world)))
        _ = context.cycle()
        guard
            case .accepted(let ticket) = context.submit(
                Named.read(1, callback: Fickle(world: world)))
        else { throw Missing() }
        _ = context.cancelOnLoop(ticket)
        script.answer(9)
        for _ in 0..<8 { _ = context.cycle() }
        #expect(world.names.contains(9))
        #expect(world.names.filter { $0 == 1 }.count >= 2)
        world.names = Array(repeating: 0, count: 200)
        world.context = nil
        context.shutDown()
        script.thaw()
        #expect(context.finish(20))
    }
}
