import IOEngineCore
import SystemPackage

/// What a scripted driver does, and what it was asked: shared by the driver and the test, on one
/// thread. ``TimedScript`` adds time, requests that are stuck, and cancellation.
class Script {
    /// How a request ends.
    enum Outcome: Equatable {
        /// Moves everything, or up to the end of the file.
        case whole
        /// Moves that many bytes at most.
        case short(Int)
        /// Answers that it moved more than asked.
        case excess
        case errno(Errno)
    }

    struct Entry {
        var request: IORequest
        var result: Int
    }

    var chance: Chance
    let depth: Int
    /// The file's bytes; reads end at `size`.
    var file: [UInt8]
    var size: Int
    var isDirect = true
    var alignment = 512
    var maximumVectors = 4

    /// Decides how a request ends; the test replaces it.
    var decide: (inout Chance, IORequest) -> Outcome = { _, _ in .whole }
    /// Percent of stagings that answer `full` although there is room.
    var spuriouslyFull = 0
    /// Percent of steps that also deliver an old or invented completion.
    var stale = 0
    /// Percent of in-flight requests that stay there at each step.
    var late = 0
    /// What `submit` answers, if not nil.
    var failure: Int32?
    var cancelAnswer = IOCancellation.tooLate
    /// Answers transfers without touching memory: the whole length, or what was decided.
    var answersWithoutMoving = false
    var failsEverySecondSubmit = false
    /// What every request answers, if not nil.
    var wrongResult: Int?
    /// What is known of descriptors; nil: all are files of this script.
    var inspects: ((Int32) throws(Errno) -> IODescriptorFacts)?
    /// Whether a wait may return with nothing finished.
    var wakesSpuriously = false

    /// What was done, in order of completion, by the `regionSize` bytes of the file that it starts in.
    var journal: [[Entry]] = []
    let regionSize: Int
    var staged: [IORequest] = []
    var inFlight: [IORequest] = []
    var finished: [IOCompletion] = []
    var old: [IOToken] = []
    var hastened = 0
    var submits = 0
    /// What broke the contract between loop and driver; empty when all is well.
    var violations: [String] = []

    init(seed: UInt64, depth: Int, fileSize: Int, regionSize: Int) {
        self.regionSize = regionSize
        journal = Array(repeating: [], count: fileSize / regionSize + 1)
        chance = Chance(seed: seed)
        self.depth = depth
        size = fileSize
        file = (0..<fileSize).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    // MARK: What the driver does

    var now: Int64 { Int64(submits) * 1000 }
    var waker: IOWaker { .none }

    func stage(_ request: IORequest) -> IOStaging {
        let held = staged.count + inFlight.count + finished.count
        if chance.happens(spuriouslyFull) || held >= depth + 8 { return .full }
        if Int(request.token.slot) >= depth { violations.append("slot out of range") }
        if holds(slot: request.token.slot) {
            violations.append("slot \(request.token.slot) twice in flight")
        }
        staged.append(request)
        return .queued
    }

    func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        submits += 1
        if let failure { return .failed(errno: failure) }
        if failsEverySecondSubmit, submits % 2 == 0 { return .failed(errno: 5) }
        step(minimum: minimum)
        return .ready
    }

    func cancel(_ token: IOToken) -> IOCancellation { cancelAnswer }

    /// Every request that was answered.
    var allRequests: [IORequest] { journal.flatMap { $0.map(\.request) } }

    func complete(at index: Int) {
        let request = inFlight.remove(at: index)
        let result = wrongResult ?? perform(request, decide(&chance, request))
        journal[min(Int(request.offset) / regionSize, journal.count - 1)].append(
            Entry(request: request, result: result))
        finished.append(IOCompletion(token: request.token, result: result))
        old.append(request.token)
    }

    private func perform(_ request: IORequest, _ outcome: Outcome) -> Int {
        guard request.action.isTransfer else {
            if case .errno(let errno) = outcome { return -Int(errno.rawValue) }
            return 0
        }
        switch outcome {
        case .errno(let errno): return -Int(errno.rawValue)
        case .excess: return request.length + 1
        case .whole: return move(request, request.length)
        case .short(let most): return move(request, min(most, request.length))
        }
    }

    /// Moves bytes between file and memory, as many as there are.
    private func move(_ request: IORequest, _ most: Int) -> Int {
        if answersWithoutMoving { return most }
        let offset = Int(request.offset)
        let reads = request.action.isRead
        var left = reads ? min(most, max(0, size - offset)) : min(most, max(0, file.count - offset))
        let moved = left
        var position = offset
        unsafe forEachPiece(request) { base, count in
            let here = min(count, left)
            if here > 0 {
                unsafe file.withUnsafeMutableBytes { bytes in
                    let place = unsafe bytes.baseAddress.unsafelyUnwrapped + position
                    if reads {
                        unsafe base.copyMemory(from: place, byteCount: here)
                    } else {
                        unsafe place.copyMemory(from: base, byteCount: here)
                    }
                }
            }
            position += here
            left -= here
        }
        return moved
    }

    private func forEachPiece(
        _ request: IORequest, _ body: (UnsafeMutableRawPointer, Int) -> Void
    ) {
        guard let address = unsafe request.address else { return }
        if !request.action.isVectored { return unsafe body(address, request.length) }
        let vectors = unsafe address.assumingMemoryBound(to: IOVector.self)
        for i in 0..<Int(request.vectorCount) {
            unsafe body(vectors[i].base, vectors[i].count)
        }
    }

    /// One step of the device: takes what is staged, finishes some of what is in flight.
    func step(minimum: Int) {
        // Short submits: what is not taken now is taken at the next step.
        let taken = late == 0 || staged.isEmpty ? staged.count : 1 + chance.below(staged.count)
        inFlight += staged[..<taken]
        staged.removeFirst(taken)
        if inFlight.count > depth { violations.append("more than the depth in flight") }
        var index = 0
        while index < inFlight.count {
            if chance.happens(late) { index += 1 } else { complete(at: index) }
        }
        if finished.isEmpty, minimum > 0, !inFlight.isEmpty, !wakesSpuriously || chance.happens(50)
        {
            complete(at: chance.below(inFlight.count))
        }
        if chance.happens(stale), let token = old.randomElement(using: &chance) {
            var token = token
            if chance.happens(20) { token.slot = UInt32(depth + chance.below(3)) }
            // Invented ones lie in the past: what is to come is no stale completion.
            if chance.happens(20) { token.generation &-= UInt32(chance.below(5)) &+ 100 }
            let isCurrent =
                inFlight.contains { $0.token == token }
                || staged.contains { $0.token == token } || finished.contains { $0.token == token }
            if !isCurrent {
                let at = chance.below(finished.count + 1)
                finished.insert(
                    IOCompletion(token: token, result: chance.below(9000) - 100), at: at)
            }
        }
    }
}

extension Script {
    /// Whether a request of that slot is not finished yet.
    fileprivate func holds(slot: UInt32) -> Bool {
        staged.contains { $0.token.slot == slot } || inFlight.contains { $0.token.slot == slot }
    }
}

/// A driver that does what its script says.
struct ScriptedDriver: IODriver, ~Copyable {
    let script: Script

    init(_ script: Script) { self.script = script }

    var capabilities: IOCapabilities {
        IOCapabilities(
            name: "scripted", depth: script.depth, maximumVectors: script.maximumVectors)
    }

    var waker: IOWaker { script.waker }

    func now() -> IOInstant { IOInstant(nanoseconds: script.now) }

    mutating func stage(_ request: IORequest) -> IOStaging { script.stage(request) }

    mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        script.submit(minimum: minimum, deadline: deadline)
    }

    mutating func cancel(_ token: IOToken) -> IOCancellation { script.cancel(token) }

    mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        while !completions.isFull, !script.finished.isEmpty {
            completions.append(script.finished.removeFirst())
        }
    }

    mutating func hasten() { script.hastened += 1 }

    func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        if let inspects = script.inspects { return try inspects(descriptor) }
        return IODescriptorFacts(
            isDirect: script.isDirect, size: Int64(script.size), inode: UInt64(descriptor),
            offsetAlignment: script.alignment, memoryAlignment: script.alignment)
    }
}
