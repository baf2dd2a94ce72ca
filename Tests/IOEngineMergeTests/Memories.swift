import Glibc
import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport

/// In charge of a mock whose file is in memory, with a virtual clock, in which requests that are in flight
/// together end in any order. All chance comes from one seed.
final class Memories: MockConductor {
    let depth: Int
    private let initial: [UInt8]
    private var random: SeededRandom
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

    /// When each request in flight is done, as the queue has them.
    private(set) var inFlight: [(request: IORequest, done: Int64)] = []
    private var cancelled: Set<IOToken> = []
    /// Requests that were staged, ever.
    private(set) var requests = 0
    /// What `submit` was asked to wait for, each time.
    var goals: [Int] = []
    private var ownViolations: [String] = []

    /// What the file is on; made when it is first needed.
    private(set) lazy var device = MockDevice(maximumVectors: maximumVectors, alignment: 1)
    /// Every descriptor leads to it.
    private lazy var file: IODescriptor = {
        let file = device.makeFile(initial)
        device.setOtherDescriptors(file)
        return file
    }()

    init(_ initial: [UInt8], depth: Int, seed: UInt64) {
        self.initial = initial
        self.depth = depth
        random = SeededRandom(seed: seed)
    }

    func makeDriver() -> MockDriver {
        _ = file
        return device.makeDriver(depth: depth, conductor: self)
    }

    /// What the file has of a range.
    func contents(_ range: Range<Int>) -> [UInt8] { device.contents(of: file, range) }

    var clock: Int64 {
        get { device.now.nanoseconds }
        set { if newValue > clock { device.advanceClock(by: .nanoseconds(newValue - clock)) } }
    }

    var hastened: Int { device.counts.hastens }

    /// What broke the contract; empty when all is well.
    var violations: [String] { device.violations + ownViolations }

    private func happens(_ percent: Int) -> Bool {
        percent > 0 && Int.random(in: 0..<100, using: &random) < percent
    }

    // MARK: What the driver does

    func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging {
        if queue.count >= depth || happens(full) { return .full }
        if request.action.isVectored, request.vectorCount > maximumVectors {
            ownViolations.append("\(request.vectorCount) vectors")
        }
        requests += 1
        return queue.stage(request)
    }

    func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        goals.append(minimum)
        for request in queue.staged {
            inFlight.append((request, clock + Int64.random(in: 0...longest, using: &random)))
        }
        queue.take()
        finishDue(queue)
        if minimum > inFlight.count + queue.finished.count, deadline == nil, wakes.isEmpty {
            ownViolations.append("a wait for \(minimum) that nothing ends")
            return .ready
        }
        while queue.finished.count < minimum {
            let next = inFlight.map(\.done).min() ?? .max
            let wake = wakes.first ?? .max
            let end = deadline?.nanoseconds ?? .max
            clock = min(next, min(wake, end))
            finishDue(queue)
            if wake <= clock {
                wakes.removeFirst()
                return .woken
            }
            if end <= clock, queue.finished.count < minimum { return .deadlinePassed }
        }
        return .ready
    }

    func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation {
        if queue.staged.contains(where: { $0.token == token }) {
            queue.finish(token, .fails(.canceled))
            return .cancelled
        }
        guard queue.inFlight.contains(where: { $0.token == token }) else { return .unknown }
        if happens(stops) { cancelled.insert(token) }
        return .requested
    }

    func inspect(
        _ descriptor: Int32, _ device: MockDevice
    ) throws(Errno) -> IODescriptorFacts {
        IODescriptorFacts(
            isDirect: false, size: Int64(device.contents(of: file).count),
            inode: UInt64(descriptor), offsetAlignment: 1, memoryAlignment: 1)
    }

    /// Finishes what is due by now, the earliest first.
    private func finishDue(_ queue: MockQueue) {
        while let index = inFlight.indices.min(by: { inFlight[$0].done < inFlight[$1].done }),
            inFlight[index].done <= clock
        {
            let request = inFlight.remove(at: index).request
            queue.finish(request.token, answer(request))
        }
    }

    private func answer(_ request: IORequest) -> MockAnswer {
        if cancelled.remove(request.token) != nil { return .fails(.canceled) }
        guard request.action.isTransfer else { return .result(0) }
        if happens(again) {
            return .fails(
                Bool.random(using: &random) ? .resourceTemporarilyUnavailable : .interrupted)
        }
        if !badRanges.isEmpty {
            let range = request.range
            if let bad = badRanges.first(where: { $0.overlaps(range) }) {
                let isMoved = bad.lowerBound > range.lowerBound && Bool.random(using: &random)
                return isMoved
                    ? .movesThenFails(bad.lowerBound - range.lowerBound, .ioError)
                    : .fails(.ioError)
            }
        }
        let isWhole = request.flags.contains(.append) || request.length <= unit
        guard !isWhole, happens(short) else { return .completes }
        return .moves(Int.random(in: 1...(request.length - 1) / unit, using: &random) * unit)
    }
}
