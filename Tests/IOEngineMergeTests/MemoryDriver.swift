import Glibc
import IOEngineCore
import SystemPackage
import TestSupport

/// What a driver over memory does, and what was asked of it: shared by the driver and the test, on
/// one thread. All chance comes from one seed.
final class Memories {
    let device: Device
    var random: SeededRandom
    let depth: Int
    var maximumVectors = 1024

    /// Nanoseconds a request takes at most; each takes some of it.
    var longest: Int64 = 10_000
    /// In a hundred requests, how many …
    var short = 0
    var again = 0
    /// … of all stagings are answered full although there is room.
    var full = 0
    /// Requests that touch one of these answer EIO, and may have moved what lies before.
    var badRanges: [Range<Int>] = []
    /// Bytes that short transfers end at multiples of.
    var unit = 1
    /// In a hundred cancellations, how many stop the request.
    var stops = 50
    /// When somebody wakes the driver.
    var wakes: [Int64] = []

    var clock: Int64 = 0
    var staged: [IORequest] = []
    var inFlight: [(request: IORequest, done: Int64)] = []
    var finished: [IOCompletion] = []
    var cancelled: Set<IOToken> = []
    /// Requests that were staged, ever.
    var requests = 0
    var submits = 0
    var hastened = 0
    /// What `submit` was asked to wait for, each time.
    var goals: [Int] = []
    /// What broke the contract; empty when all is well.
    var violations: [String] = []

    init(_ device: Device, depth: Int, seed: UInt64) {
        self.device = device
        self.depth = depth
        random = SeededRandom(seed: seed)
    }

    func happens(_ percent: Int) -> Bool {
        percent > 0 && Int.random(in: 0..<100, using: &random) < percent
    }

    /// Everything that the driver has and nobody took.
    var count: Int { staged.count + inFlight.count + finished.count }

    /// Starts what is staged.
    func start() {
        for request in staged {
            let time = Int64.random(in: 0...longest, using: &random)
            inFlight.append((request, clock + time))
        }
        staged = []
    }

    /// Finishes what is due by now, the earliest first.
    func finishDue() {
        while let index = inFlight.indices.min(by: { inFlight[$0].done < inFlight[$1].done }),
            inFlight[index].done <= clock
        {
            let request = inFlight.remove(at: index).request
            finished.append(IOCompletion(token: request.token, result: carryOut(request)))
        }
    }

    private func carryOut(_ request: IORequest) -> Int {
        if cancelled.remove(request.token) != nil { return Int(-ECANCELED) }
        guard request.action.isTransfer else { return 0 }
        if happens(again) { return Bool.random(using: &random) ? Int(-EAGAIN) : Int(-EINTR) }
        if !badRanges.isEmpty {
            let range = request.range
            if let bad = badRanges.first(where: { $0.overlaps(range) }) {
                if bad.lowerBound > range.lowerBound, Bool.random(using: &random) {
                    device.perform(request, most: bad.lowerBound - range.lowerBound)
                }
                return Int(-EIO)
            }
        }
        let isWhole = request.flags.contains(.append) || request.length <= unit
        guard !isWhole, happens(short) else { return device.perform(request) }
        let units = Int.random(in: 1...(request.length - 1) / unit, using: &random)
        return device.perform(request, most: units * unit)
    }
}

/// A driver over memory with a virtual clock, in which requests that are in flight together end in
/// any order.
struct MemoryDriver: IODriver, ~Copyable {
    let memories: Memories

    init(_ memories: Memories) { self.memories = memories }

    var capabilities: IOCapabilities {
        IOCapabilities(
            name: "memory", depth: memories.depth, maximumVectors: memories.maximumVectors)
    }

    func now() -> IOInstant { IOInstant(nanoseconds: memories.clock) }

    mutating func stage(_ request: IORequest) -> IOStaging {
        if memories.count >= memories.depth || memories.happens(memories.full) { return .full }
        let slot = request.token.slot
        if Int(slot) >= memories.depth { memories.violations.append("slot \(slot)") }
        let isTwice =
            memories.staged.contains { $0.token.slot == slot }
            || memories.inFlight.contains { $0.request.token.slot == slot }
        if isTwice { memories.violations.append("slot \(slot) twice in flight") }
        if request.action.isVectored, request.vectorCount > memories.maximumVectors {
            memories.violations.append("\(request.vectorCount) vectors")
        }
        memories.staged.append(request)
        memories.requests += 1
        return .queued
    }

    mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        memories.submits += 1
        memories.goals.append(minimum)
        memories.start()
        memories.finishDue()
        if minimum > memories.inFlight.count + memories.finished.count, deadline == nil,
            memories.wakes.isEmpty
        {
            memories.violations.append("a wait for \(minimum) that nothing ends")
            return .ready
        }
        while memories.finished.count < minimum {
            let next = memories.inFlight.map(\.done).min() ?? .max
            let wake = memories.wakes.first ?? .max
            let end = deadline?.nanoseconds ?? .max
            memories.clock = max(memories.clock, min(next, min(wake, end)))
            memories.finishDue()
            if wake <= memories.clock {
                memories.wakes.removeFirst()
                return .ready
            }
            if end <= memories.clock, memories.finished.count < minimum { return .deadlinePassed }
        }
        return .ready
    }

    mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        while !completions.isFull, !memories.finished.isEmpty {
            completions.append(memories.finished.removeFirst())
        }
    }

    mutating func cancel(_ token: IOToken) -> IOCancellation {
        if let index = memories.staged.firstIndex(where: { $0.token == token }) {
            memories.staged.remove(at: index)
            memories.finished.append(IOCompletion(token: token, result: Int(-ECANCELED)))
            return .cancelled
        }
        guard memories.inFlight.contains(where: { $0.request.token == token }) else {
            return .unknown
        }
        if memories.happens(memories.stops) { memories.cancelled.insert(token) }
        return .requested
    }

    mutating func hasten() { memories.hastened += 1 }

    func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        IODescriptorFacts(
            isDirect: false, size: Int64(memories.device.bytes.count), inode: UInt64(descriptor),
            offsetAlignment: 1, memoryAlignment: 1)
    }
}
