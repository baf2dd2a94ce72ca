import Foundation
import IOEngineCore
import IOEngineMock
import Synchronization
import SystemPackage
import Testing

/// Random schedules: a hundredth of the campaign in an ordinary run; the whole of it with
/// `IOENGINE_SCHEDULES=1000000 swift test -c release --filter ScheduleTests`. One schedule again with
/// `IOENGINE_SEED=…`.
@Suite(.serialized) struct ScheduleTests {
    static let environment = ProcessInfo.processInfo.environment

    /// What became of some schedules.
    struct Outcome {
        var events = 0
        var hits: [String: Int] = [:]
        var problem: String?

        mutating func add(_ other: Outcome) {
            events += other.events
            hits.merge(other.hits, uniquingKeysWith: +)
            problem = problem ?? other.problem
        }
    }

    @Test func everyEventComesBackOnceWithItsBufferWhateverTheDriverAnswers() async {
        let seeds: [UInt64]
        if let seed = Self.environment["IOENGINE_SEED"].flatMap(UInt64.init) {
            seeds = [seed]
        } else {
            let count = Self.environment["IOENGINE_SCHEDULES"].flatMap(UInt64.init) ?? 10_000
            seeds = Array(1...count)
        }
        // A schedule stays on its thread; each processor has its own.
        let share = ProcessInfo.processInfo.activeProcessorCount
        let outcome = await withTaskGroup(of: Outcome.self, returning: Outcome.self) { group in
            for first in 0..<share {
                group.addTask {
                    await run(
                        stride(from: first, to: seeds.count, by: share).lazy.map { seeds[$0] })
                }
            }
            return await group.reduce(into: Outcome()) { $0.add($1) }
        }
        if let problem = outcome.problem {
            Issue.record("\(problem)")
            return
        }
        let events = outcome.events
        let hits = outcome.hits
        print(
            "\(seeds.count) schedules, \(events) submissions; hit:", hits.sorted { $0.key < $1.key }
        )
        guard seeds.count > 1 else { return }
        for name in [
            "success", "handed over short", "continued", "continued by the user", "end of file",
            "zero write", "excess", "retried", "rewound", "refused at the end", "errno 4",
            "errno 5", "errno 11", "errno 22", "errno 125", "full", "restarted", "stale", "wrapped",
            "plain success", "plain failure", "drained", "must not be split",
            "submitted again in place",
        ] {
            #expect(hits[name, default: 0] > 0, "no schedule hit: \(name)")
        }
    }

    /// Until one of them shows a problem.
    private func run(_ seeds: some Sequence<UInt64>) async -> Outcome {
        var outcome = Outcome()
        for seed in seeds {
            // Other tests want to run, too.
            await Task.yield()
            let schedule = Schedule(seed: seed)
            schedule.callsBack ? runCalling(schedule) : runPulling(schedule)
            schedule.finish()
            let live = schedule.liveBuffers.value.load(ordering: .relaxed)
            if live != 0 { schedule.problems.append("\(live) buffers leaked") }
            outcome.events += schedule.records.reduce(0) { $0 + $1.submissions }
            outcome.hits.merge(schedule.hits, uniquingKeysWith: +)
            if !schedule.problems.isEmpty {
                outcome.problem =
                    "seed \(seed): \(schedule.problems); again with IOENGINE_SEED=\(seed)"
                break
            }
        }
        return outcome
    }

    func makeLoop<C: IOCallback>(_ schedule: Schedule) -> IOLoop<C, MockDriver> {
        // The counter of requests wraps at 2^32 within the schedule.
        let first: UInt32 = schedule.wrapsGeneration ? .max - UInt32(schedule.chance.below(6)) : 0
        if schedule.wrapsGeneration { schedule.note("wrapped") }
        do {
            return try IOLoop<C, MockDriver>(
                depth: schedule.script.depth, driver: schedule.script.makeDriver(),
                recordsLatencies: schedule.chance.happens(10), firstGeneration: first)
        } catch {
            fatalError("\(error)")
        }
    }

    func note<C: IOCallback>(_ schedule: Schedule, _ loop: borrowing IOLoop<C, MockDriver>) {
        let statistics = loop.statistics
        if statistics.staleCompletions > 0 { schedule.note("stale") }
        if statistics.largestInFlight > schedule.script.depth {
            schedule.problem("above the depth")
        }
        if statistics.submitted != statistics.completed + UInt64(loop.inFlight) {
            schedule.problem("statistics do not add up: \(statistics)")
        }
    }

    // MARK: Pulling

    /// Events carry their index in the callback's place.
    struct Index: IOCallback {
        let index: Int
        consuming func call(
            _ event: consuming IOEvent<Index>, _ submitter: borrowing IOSubmitter<Index>
        ) {}
    }

    func runPulling(_ schedule: Schedule) {
        let count = schedule.script.fileSize / Schedule.region
        var loop: IOLoop<Index, MockDriver> = makeLoop(schedule)
        var next = 0
        while next < count || loop.inFlight > 0 {
            if next < count, schedule.chance.happens(60) {
                let event = schedule.makeEvent(next, callback: Index(index: next))
                schedule.noteSubmission(next)
                next += 1
                submit(event, &loop, schedule)
            } else if schedule.chance.happens(50) {
                _ = loop.wait(minimum: schedule.chance.below(3))
            } else if schedule.chance.happens(30) {
                loop.forEachFinished { event in
                    guard let index = event.callback?.index else { return .release }
                    schedule.check(index, &event)
                    return schedule.submitsAgain(index, &event) ? .submitAgain : .release
                }
            } else if var event = loop.next() {
                pulled(&event, schedule)
                if let index = event.callback?.index, schedule.submitsAgain(index, &event) {
                    submit(event, &loop, schedule)
                }
            }
        }
        note(schedule, loop)
    }

    /// Until it is accepted: a full queue must give way when events finish.
    func submit(
        _ event: consuming IOEvent<Index>, _ loop: inout IOLoop<Index, MockDriver>,
        _ schedule: Schedule
    ) {
        var event = event
        for _ in 0..<10_000 {
            switch loop.submit(event) {
            case .accepted: return
            case .closed: return schedule.problem("closed")
            case .full(let back):
                schedule.note("full")
                event = back
                _ = loop.wait(minimum: 1)
                if var done = loop.next() { pulled(&done, schedule) }
            }
        }
        schedule.problem("the queue stays full")
    }

    func pulled(_ event: inout IOEvent<Index>, _ schedule: Schedule) {
        guard let index = event.callback?.index else { return schedule.problem("callback lost") }
        schedule.check(index, &event)
    }

    // MARK: Calling back

    struct Call: IOCallback {
        // Unchecked by hand: the schedule stays on one thread.
        nonisolated(unsafe) let schedule: Schedule
        let index: Int

        static func resubmits(_ event: inout IOEvent<Call>) -> Bool {
            guard let call = event.callback else { return false }
            let schedule = unsafe call.schedule
            guard schedule.chance.happens(50) else { return false }
            schedule.check(call.index, &event)
            if schedule.submitsAgain(call.index, &event) {
                schedule.note("submitted again in place")
                return true
            }
            schedule.lookedAt = call.index
            return false
        }

        consuming func call(
            _ event: consuming IOEvent<Call>, _ submitter: borrowing IOSubmitter<Call>
        ) {
            let schedule = unsafe self.schedule
            if schedule.lookedAt != index { schedule.check(index, &event) }
            schedule.lookedAt = nil
            guard schedule.submitsAgain(index, &event) else { return }
            event.callback = self
            switch submitter.submit(event) {
            case .accepted: break
            case .full: schedule.problem("no room for the first submission of a callback")
            case .closed:
                // Refused, uncalled: as if it had not been tried.
                schedule.note("closed in a callback")
                schedule.records[index].submissions -= 1
            }
        }
    }

    func runCalling(_ schedule: Schedule) {
        let count = schedule.script.fileSize / Schedule.region
        var loop: IOLoop<Call, MockDriver> = makeLoop(schedule)
        for index in 0..<count {
            var event = schedule.makeEvent(
                index, callback: Call(schedule: schedule, index: index))
            schedule.noteSubmission(index)
            for _ in 0..<10_000 {
                if case .full(let back) = loop.submit(event) {
                    schedule.note("full")
                    event = back
                    loop.run(minimum: 1)
                } else {
                    break
                }
                if loop.hasRoom == false { continue }
            }
            if schedule.chance.happens(30) { loop.run(minimum: schedule.chance.below(4)) }
        }
        // Some end by draining, some by the loop's end, some by running dry.
        switch schedule.chance.below(3) {
        case 0:
            loop.drain()
            schedule.note("drained")
            if loop.inFlight != 0 { schedule.problem("drain left something") }
        case 1: while loop.inFlight > 0 { loop.run() }
        default: break
        }
        note(schedule, loop)
    }
}
