import Glibc
import IOEngineCore
import IOEngineMock
import Synchronization
import SystemPackage

/// A driver over a right one that makes one mistake.
struct WrongDriver: IODriver, ~Copyable {
    private var base: SimulatedDiskDriver
    private let depth: Int
    private let mistake: Mistake
    private let shared: WrongState
    private let gate = IOWakeGate()
    /// Requests queued and not reaped.
    private var count = 0
    /// By slot, as the base got them.
    private var requests: [UInt32: IORequest] = [:]
    private var held: [IORequest] = []
    private var ready: [IOCompletion] = []
    /// Reads that were reaped, to be spoilt.
    private var reaped: [IORequest] = []
    private var completed = 0
    private var submits = 0
    private var fails = false
    private var isHastened = false
    private var shortened: Set<UInt32> = []

    init(_ disk: SimulatedDisk, depth: Int, _ mistake: Mistake, _ shared: WrongState) {
        base = disk.makeDriver(depth: 2 * depth + 8)
        self.depth = depth
        self.mistake = mistake
        self.shared = shared
    }

    deinit {
        if mistake == .isHauntedByItsWaker { shared.isGone.store(true, ordering: .relaxed) }
        let lives = mistake == .readsAfterItsEnd || mistake == .writesAfterItsEnd
        guard lives else { return }
        for request in requests.values where request.action.isRead == (mistake == .readsAfterItsEnd)
        {
            shared.zombies.withLock { $0.append(request) }
        }
    }

    var capabilities: IOCapabilities {
        var capabilities = base.capabilities
        capabilities.depth = depth
        capabilities.name = mistake == .hasNoName ? "" : "wrong"
        return capabilities
    }

    var waker: IOWaker {
        let shared = self.shared
        switch mistake {
        case .losesEarlyWakeUps, .losesWakeUpsBetweenWaits, .findsNoTimeForWakeUps, .waitsBusily:
            return gate.waker
        case .isHauntedByItsWaker:
            let base = base.waker
            return IOWaker {
                if shared.isGone.load(ordering: .relaxed) {
                    shared.isCursed.store(true, ordering: .relaxed)
                }
                base.wake()
            }
        default: return base.waker
        }
    }

    func now() -> IOInstant {
        let time = base.now()
        guard mistake == .goesBackInTime else { return time }
        return IOInstant(nanoseconds: time.nanoseconds - Int64(submits % 3) * 1_000_000)
    }

    // MARK: Staging

    mutating func stage(_ request: IORequest) -> IOStaging {
        let limit =
            switch mistake {
            case .ignoresTheDepth: depth + 4
            case .refusesBelowTheDepth: depth - 1
            default: depth
            }
        guard count < limit else {
            if mistake == .doesWhatItRefused {
                var secret = request
                secret.token.slot = UInt32.max
                _ = base.stage(secret)
            }
            return .full
        }
        count += 1
        requests[request.token.slot] = request
        switch mistake {
        case .acknowledgesWritesEarly where request.action == .write:
            held.append(request)
            ready.append(IOCompletion(token: request.token, result: request.length))
        case .acknowledgesSyncsNotDone where request.action.isSync:
            ready.append(IOCompletion(token: request.token, result: 0))
        case .allocatesNothing where request.action == .allocate:
            ready.append(IOCompletion(token: request.token, result: 0))
        case .ignoresHasten, .readsAfterItsEnd, .writesAfterItsEnd:
            held.append(request)
        default: pass(request)
        }
        return .queued
    }

    private mutating func pass(_ request: IORequest) {
        var request = request
        switch mistake {
        case .takesTheWrongOffset where request.length > 1000: request.offset += 1
        case .leavesOutFlags: request.flags = []
        case .forgetsTheLastVector where request.vectorCount > 2:
            request.vectorCount -= 1
        case .losesContinuations where request.length > 20_000:
            request.length /= 2
            if shortened.contains(request.token.slot) { request.length = 0 }
        default: break
        }
        _ = base.stage(request)
    }

    // MARK: Waiting

    mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        submits += 1
        spoil()
        switch mistake {
        case .returnsForEver: return .ready
        case .passesDeadlinesEarly where count == 0 && deadline != nil: return .deadlinePassed
        case .neverWaits where count == 0: return .ready
        case .waitsUnasked where minimum == 0 && deadline != nil:
            _ = base.submit(minimum: 1, deadline: deadline)
            return .ready
        case .losesEarlyWakeUps where count == 0:
            _ = gate.takeWakeUp()
            return deadline == nil
                ? gate.wait() : base.submit(minimum: minimum, deadline: deadline)
        case .waitsBusily where count == 0 && deadline == nil:
            while !gate.takeWakeUp() {}
            return .woken
        case .hidesWakeUps:
            let outcome = base.submit(minimum: minimum, deadline: deadline)
            return outcome == .woken ? .ready : outcome
        case .losesWakeUpsBetweenWaits:
            // As one does whose ring reads the wake-up along with what is finished.
            let isWoken = gate.takeWakeUp()
            let outcome = base.submit(minimum: isWoken ? 0 : minimum, deadline: deadline)
            return isWoken && minimum > 0 ? .woken : outcome
        case .losesWakeUpsWhenBusy where count > 0:
            let outcome = base.submit(minimum: minimum, deadline: deadline)
            return outcome == .woken ? .ready : outcome
        case .waitsOnAfterAWakeUp where count > 0:
            // As a layer does that has to repeat something.
            let outcome = base.submit(minimum: minimum, deadline: deadline)
            guard outcome == .woken else { return outcome }
            return base.submit(minimum: minimum, deadline: deadline)
        case .findsNoTimeForWakeUps:
            // Looks for a wake-up only where nothing else ends the wait.
            if count > 0 { return base.submit(minimum: minimum, deadline: deadline) }
            if minimum == 0 { return .ready }
            if gate.takeWakeUp() { return .woken }
            return base.submit(minimum: minimum, deadline: deadline)
        case .ignoresHasten where held.count == 1:
            // A lone request is kept until another comes, or for a minute.
            let minute = base.now().advanced(by: .seconds(60))
            let outcome = base.submit(minimum: 1, deadline: min(minute, deadline ?? minute))
            if base.now() < minute { return outcome }
        case .readsAfterItsEnd, .writesAfterItsEnd:
            // Begun only when somebody waits.
            if minimum == 0 { return .ready }
        case .acknowledgesWritesEarly where submits % 3 != 0:
            return base.submit(minimum: ready.isEmpty ? minimum : 0, deadline: deadline)
        default: break
        }
        for request in held { pass(request) }
        held.removeAll()
        return base.submit(
            minimum: ready.isEmpty ? minimum : 0, deadline: deadline)
    }

    /// What was left over from drivers that are gone, and from requests that are done.
    private mutating func spoil() {
        if mistake == .writesToMemoryLate {
            for request in reaped {
                unsafe request.address?.storeBytes(of: 0xff, as: UInt8.self)
            }
            reaped.removeAll()
        }
        let zombies = shared.zombies.withLock { zombies in
            defer { zombies.removeAll() }
            return zombies
        }
        for request in zombies {
            var request = request
            request.token.slot = UInt32.max
            _ = base.stage(request)
        }
    }

    // MARK: Reaping

    mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        collect()
        while !ready.isEmpty, !completions.isFull {
            completions.append(ready.removeFirst())
            count -= 1
        }
        if mistake == .losesWhatDoesNotFit { ready.removeAll() }
    }

    private mutating func collect() {
        let first = ready.count
        for (token, result) in base.reapedInOrder() where token.slot != UInt32.max {
            settle(IOCompletion(token: token, result: result))
        }
        if mistake == .mixesUpManyResults, ready.count - first >= 10 {
            // Says that one byte less was moved.
            for i in first..<ready.count where ready[i].result > 1 { ready[i].result -= 1 }
        }
    }

    private mutating func settle(_ completion: IOCompletion) {
        var completion = completion
        completed += 1
        guard let request = requests.removeValue(forKey: completion.token.slot) else {
            // Answered before it was done.
            return
        }
        switch mistake {
        case .acknowledgesWritesEarly where request.action == .write: return
        case .dropsACompletion where completed % 7 == 0: return
        case .isHauntedByItsWaker where shared.isCursed.load(ordering: .relaxed): return
        case .completesTwice where completed % 7 == 0:
            ready.append(completion)
            count += 1
        case .forgetsTheGeneration: completion.token.generation = 1
        case .touchesWhatLiesBehind where completion.result > 0 && request.action == .read:
            unsafe request.address?.storeBytes(
                of: 0xff, toByteOffset: completion.result, as: UInt8.self)
        case .writesToMemoryLate where request.action == .read: reaped.append(request)
        case .failsAtTheEndOfFile where completion.result == 0 && request.action == .read:
            completion.result = -Int(EINVAL)
        case .reportsShortReadsWhole where request.action == .read && completion.result >= 0:
            completion.result = request.length
        case .forgetsTheLastVector where request.vectorCount > 2: completion.result = request.length
        case .answersPositiveErrnos where completion.result < 0:
            completion.result = -completion.result
        case .failsNeighbours:
            if fails, completion.result >= 0 { completion.result = -Int(ECANCELED) }
            fails = completion.result == -Int(EBADF)
        case .losesContinuations where request.length > 20_000:
            shortened.insert(completion.token.slot)
        case .losesContinuations where shortened.contains(completion.token.slot):
            shortened.remove(completion.token.slot)
            completion.result = 0
        case .cancelsWhenHastened where isHastened && completion.result > 0:
            completion.result = -Int(ECANCELED)
        case .readsDirectories where completion.result == -Int(EISDIR): completion.result = 0
        default: break
        }
        ready.append(completion)
    }

    @discardableResult
    mutating func cancel(_ token: IOToken) -> IOCancellation {
        switch mistake {
        case .cancelsInWordsOnly:
            return requests[token.slot]?.token == token ? .cancelled : .unknown
        case .losesWhatIsCancelled:
            if requests[token.slot]?.token == token { requests[token.slot] = nil }
            return base.cancel(token)
        case .cancelsBySlotAlone:
            return base.cancel(requests[token.slot]?.token ?? token)
        default: return base.cancel(token)
        }
    }

    mutating func hasten() {
        isHastened = true
        base.hasten()
    }

    func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        var facts = try base.inspect(descriptor)
        if mistake == .describesWrongly { facts.size = 0 }
        if mistake == .readsDirectories, facts.kind == .directory { facts.kind = .regular }
        return facts
    }

    mutating func register(descriptor: Int32) -> IORegistration {
        mistake == .registersInWordsOnly
            ? .registered(index: 0) : base.register(descriptor: descriptor)
    }
}

/// What wrong drivers of one check share.
final class WrongState: Sendable {
    /// Requests of drivers that are gone.
    let zombies = LockedValue<[IORequest]>([])
    let isGone = Atomic<Bool>(false)
    let isCursed = Atomic<Bool>(false)
}

extension IODriver where Self: ~Copyable {
    /// What is finished now.
    mutating func reapedInOrder() -> [(IOToken, Int)] {
        unsafe withUnsafeTemporaryAllocation(of: IOCompletion.self, capacity: 64) { memory in
            var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
            reap(into: &span)
            let count = unsafe span.finalize(for: memory)
            return (0..<count).map { unsafe (memory[$0].token, memory[$0].result) }
        }
    }
}
