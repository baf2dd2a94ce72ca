import BasicContainers
import SystemPackage

@testable import IOEngineCore

/// One random run of a context over a timed script, on one thread: the test goes around the loop, and
/// plays producers, workers, those who cancel, drain, close and shut down. Checked against the rules as
/// they are written down, by what was submitted, what the driver saw and what was called back.
///
/// An event's number is its priority, which the driver sees in every request of it.
final class ContextSchedule: ScriptWitness {
    let seed: UInt64
    let script: TimedScript
    var chance: Chance
    let hasWorkers: Bool
    let maximumBytes: Int
    /// The shape of the load, in percent.
    let shape: Shape
    private(set) var context: HandDrivenContext<Call>!

    struct Shape {
        var producers = 30
        var resubmits = 40
        var chains = 10
        var limits = 20
        var cancels = 20
        var meanwhile = 5
        var syncs = 20
        var writes = 40
    }

    var records: [Record] = []
    var problems: [String] = []
    var hits = Hits()
    /// What this schedule may still do, and how many events it may still make.
    var steps: Int
    var events: Int

    /// Counts beginnings and ends of submissions.
    var tick = 0
    /// Rounds of the loop.
    var cycles = 0
    /// The time when the last one began.
    var roundBegan: Int64 = 0
    /// The loop goes around, or a callback runs on its thread.
    var isInCycle = false
    /// A callback runs, and where.
    var isOnLoop = false
    /// How many callbacks run on workers, one preempted by the other.
    var workersBusy = 0
    /// Submissions and the like that are under way, one inside the other.
    var isSubmitting = 0
    /// Checked where it lay, and now on its way to its callback.
    var lookedAt: Int?
    /// What callbacks submitted again where it lay, in this cycle.
    var takenInPlace: [Int] = []
    /// What a callback submitted again where it lay, last; in which cycle, and what was known before.
    var submittedInPlace: (id: Int, cycle: Int, before: Record)?

    var claims: [OpenClaim] = []
    /// Events that workers have taken and not called back.
    var inHands = UniqueArray<DeliveredEvent<Call>>()
    var drains: [OpenDrain] = []
    /// For how many rounds of the loop the first of them has had nothing to wait for.
    var drainDoneFor = 0
    var replies: [OpenReply] = []
    var fences: [OpenClose] = []
    var objects: [IODescriptor?] = []
    /// By descriptor: when it was first asked to close; 0: at once.
    var closings: [Int32: Int] = [:]
    /// Cancellations of all of a descriptor (nil: of everything) that the loop has not answered yet.
    var sweeps: [OpenSweep] = []
    /// Descriptors of which a sync has lost data, as somebody was told.
    var lost = Set<Int32>()
    /// By descriptor: the round of the loop in which that was last cleared.
    var cleared: [Int32: Int] = [:]
    /// By descriptor: the latest sync that the driver was given, by where its submission began.
    var latestSync: [Int32: Int] = [:]
    var tickets: [IOTicket: Int] = [:]
    /// Every buffer that was not freed, by event.
    var liveBuffers: [Int: Int] = [:]

    var isEnded = false
    var isShutDown = false
    var shutdownDeadline = Int64.max
    var passedShutdownDeadline = false

    init(seed: UInt64) {
        self.seed = seed
        var chance = Chance(seed: seed)
        let depth = 1 + chance.below(5)
        script = TimedScript(seed: chance.next(), depth: depth, fileSize: 0, regionSize: 1)
        script.maximumVectors = [0, 2, 16][chance.below(3)]
        script.longest = [0, 500, 4000][chance.below(3)]
        script.stuck = [0, 0, 15, 50][chance.below(4)]
        script.stoppings =
            [
                [.obeys], TimedScript.Stopping.allCases, [.never], [.obeys, .partly],
            ][chance.below(4)]
        script.fills = [0, 0, 10, 40][chance.below(4)]
        script.wakesSpuriously = chance.happens(20)
        script.stale = chance.happens(30) ? 20 : 0
        script.failures = chance.happens(10) ? 1 + chance.below(2) : 0
        hasWorkers = chance.happens(50)
        maximumBytes = chance.happens(30) ? 40 + chance.below(100) : .max
        var shape = Shape()
        shape.producers = [15, 30, 50][chance.below(3)]
        shape.resubmits = [0, 40, 90][chance.below(3)]
        shape.chains = [0, 10, 30][chance.below(3)]
        shape.limits = [0, 20, 60][chance.below(3)]
        shape.cancels = [0, 5, 20][chance.below(3)]
        shape.meanwhile = [0, 3, 15][chance.below(3)]
        shape.syncs = [0, 10, 40][chance.below(3)]
        self.shape = shape
        steps = 20 + chance.below(60)
        events = 6 + chance.below(24)
        let faults = [0, 10, 40][chance.below(3)]
        self.chance = chance
        script.decide = { chance, _ in
            guard chance.happens(faults) else { return .whole }
            switch chance.below(8) {
            case 0, 1, 2: return .short(1 + chance.below(60))
            case 3: return .short(0)
            case 4: return .errno(.interrupted)
            case 5: return .errno(.resourceTemporarilyUnavailable)
            case 6: return .errno(.ioError)
            default: return .errno(.noSpace)
            }
        }
    }

    /// Plays it.
    func run() throws {
        script.witness = self
        script.inspects = { number throws(Errno) in
            IODescriptorFacts(isDirect: number == 3, size: 1 << 20, inode: UInt64(number))
        }
        for number in 5...6 {
            objects.append(
                IODescriptor(simulated: Int32(number), facts: IODescriptorFacts(isDirect: true)))
        }
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = [2, 4, 8][chance.below(3)]
        configuration.maximumBytesInFlight = maximumBytes
        if hasWorkers { configuration.workers = IOWorkers(threadless: ()) }
        nonisolated(unsafe) unowned let schedule = self
        context = try HandDrivenContext(script, configuration) { settlement in
            unsafe schedule.settled(settlement)
        }
        while steps > 0, problems.isEmpty, !context.hasEnded {
            if chance.happens(40) { cycle() } else { act() }
        }
        if problems.isEmpty { end() }
        checkEnd()
    }

    func problem(_ text: @autoclosure () -> String) {
        if problems.count < 5 { problems.append(text()) }
    }

    /// What the test knows of one event.
    struct Record {
        let action: IOAction
        let descriptor: Int32
        let hasObject: Bool
        let offset: Int64
        let length: Int
        var flags: IOFlags = []
        var handsOver = false
        /// What it is refused with, whatever else happens.
        var refusal: Errno?
        var chain: (previous: Int?, next: Int?) = (nil, nil)
        var isChained: Bool { chain.previous != nil || chain.next != nil }

        var limits = IOLimits.none
        var submissions = 0
        var calls = 0
        var ticket: IOTicket?
        /// When its last submission began and returned.
        var began = 0
        var returned = Int.max
        /// Submitted again where it lay.
        var isInPlace = false
        /// Parked by a worker's callback: other events may get a slot before it.
        var isReturned = false
        /// A producer was filling earlier places when that submission began: what lies behind
        /// them does not count as there.
        var beganBehindClaims = false
        /// Moved before that submission.
        var progress = 0
        /// Requests since, and what became of them.
        var requests = 0
        var answers: [(length: Int, result: Int)] = []
        var lastAnswerCycle = 0
        var isAtDriver = false
        /// The event before it in its chain has ended well.
        var mayFollow = false
        /// When somebody first asked for it to be stopped.
        var stopped: Int64?
        /// How often somebody asked by its ticket.
        var asks = 0
        /// Somebody was told that it never begins.
        var neverBegins = false
        /// Called back without its memory.
        var isAbandoned = false
        /// Reported as settled after that.
        var hasSettled = false

        var isPending: Bool { submissions > calls }
        var isAppend: Bool { action.isWrite && flags.contains(.append) }
        var isWhole: Bool { !flags.isDisjoint(with: [.append, .atomic]) }
        var deadline: Int64 { limits.deadlineNanoseconds }
    }

    /// A producer has claimed places and not filled them yet.
    struct OpenClaim {
        var position: Int
        var ids: [Int]
        /// Places still to fill, the last one first.
        var left: Int
    }

    struct OpenDrain {
        let reply: Reply<Bool>
        let tick: Int
        let cycle: Int
        /// At the latest then the loop had read of it.
        var readTick: Int?
        /// Which submissions of which events it waits for.
        let events: [(id: Int, submission: Int)]
    }

    struct OpenReply {
        let id: Int
        let submission: Int
        let reply: Reply<IOCancellation>
    }

    struct OpenSweep {
        let descriptor: Int32?
        let reply: Reply<Int>
    }

    struct OpenClose {
        let descriptor: Int32
        let tick: Int
        let reply: Reply<Bool>
    }
}

extension ContextSchedule {
    /// What is known of an event, for a problem that must be understood.
    func describe(_ id: Int) -> String {
        let r = records[id]
        return "\(id): \(r.action) on \(r.descriptor) began \(r.began) returned \(r.returned) "
            + "ticket \(r.ticket.map { String($0.rawValue, radix: 16) } ?? "-") limits \(r.limits) "
            + "requests \(r.requests) answers \(r.answers) chain \(r.chain) stopped \(r.stopped as Any) refused \(isRefused(id)) place \(place(of: id) as Any)"
    }
}
