import IOEngineCore
import IOEngineMock
import SystemPackage

/// In charge of a mock driver: decides from a seed what becomes of its requests, and what it does that
/// no driver should. The requests and the file are the mock's. ``TimedScript`` adds time, requests that
/// are stuck, and cancellation.
class Script: MockConductor {
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
    /// All that may be written.
    let fileSize: Int
    /// Where reads end.
    var size: Int
    var isDirect = true
    var alignment = 512
    /// Before the driver is made.
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
    var journal: [[Entry]]
    let regionSize: Int
    var old: [IOToken] = []

    lazy var device = makeDevice()
    /// The file that every request goes to.
    lazy var file = makeFile()
    /// The requests of the driver that was made last.
    private(set) lazy var queue = MockDevice().makeDriver(depth: depth).queue

    init(seed: UInt64, depth: Int, fileSize: Int, regionSize: Int) {
        self.regionSize = regionSize
        journal = Array(repeating: [], count: fileSize / regionSize + 1)
        chance = Chance(seed: seed)
        self.depth = depth
        self.fileSize = fileSize
        size = fileSize
    }

    /// A driver that does what this script says.
    func makeDriver() -> MockDriver {
        device.setOtherDescriptors(file)
        let driver = device.makeDriver(depth: depth, conductor: self)
        queue = driver.queue
        return driver
    }

    func makeDevice() -> MockDevice { MockDevice(maximumVectors: maximumVectors) }

    func makeFile() -> IODescriptor {
        precondition(fileSize <= Self.contents.count)
        return device.makeFile(Array(Self.contents[..<fileSize]))
    }

    /// What files begin with. Made once, because that is slow in a debug build.
    private static let contents = (0..<1 << 16).map {
        UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8)
    }

    // MARK: What the driver does

    func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging {
        chance.happens(spuriouslyFull) ? .full : queue.stage(placed(request))
    }

    /// In a shared file, an event is told by its place: appends go to theirs as other writes do.
    func placed(_ request: IORequest) -> IORequest {
        var request = request
        request.flags.subtract([.append, .atomic])
        return request
    }

    func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        device.advanceClock(by: .nanoseconds(1000))
        if let failure { return .failed(errno: failure) }
        if failsEverySecondSubmit, device.counts.submits % 2 == 0 { return .failed(errno: 5) }
        step(queue, minimum: minimum)
        return .ready
    }

    func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation { cancelAnswer }

    func inspect(
        _ descriptor: Int32, _ device: MockDevice
    ) throws(Errno) -> IODescriptorFacts {
        if let inspects { return try inspects(descriptor) }
        return IODescriptorFacts(
            isDirect: isDirect, size: Int64(size), inode: UInt64(descriptor),
            offsetAlignment: alignment, memoryAlignment: alignment)
    }

    private func complete(_ queue: MockQueue, at index: Int) {
        let request = queue.inFlight[index]
        let result = queue.finish(at: index, answer(request))
        journal[min(Int(request.offset) / regionSize, journal.count - 1)].append(
            Entry(request: request, result: result))
        old.append(request.token)
    }

    private func answer(_ request: IORequest) -> MockAnswer {
        let outcome = decide(&chance, request)
        if let wrongResult { return .result(wrongResult) }
        switch outcome {
        case .errno(let errno): return .fails(errno)
        case .excess: return .result(request.action.isTransfer ? request.length + 1 : 0)
        case .whole: return moving(request, .max)
        case .short(let most): return moving(request, most)
        }
    }

    private func moving(_ request: IORequest, _ most: Int) -> MockAnswer {
        guard request.action.isTransfer else { return .result(0) }
        let most = min(most, request.length)
        if answersWithoutMoving { return .result(most) }
        let end = request.action.isRead ? size : fileSize
        return .moves(min(most, max(0, end - Int(request.offset))))
    }

    /// One step of the device: takes what is staged, finishes some of what is in flight.
    private func step(_ queue: MockQueue, minimum: Int) {
        // Short submits: what is not taken now is taken at the next step.
        let count = queue.staged.count
        queue.take(late == 0 || count == 0 ? count : 1 + chance.below(count))
        var index = 0
        while index < queue.inFlight.count {
            if chance.happens(late) { index += 1 } else { complete(queue, at: index) }
        }
        if queue.finished.isEmpty, minimum > 0, !queue.inFlight.isEmpty,
            !wakesSpuriously || chance.happens(50)
        {
            complete(queue, at: chance.below(queue.inFlight.count))
        }
        if chance.happens(stale), let token = old.randomElement(using: &chance) {
            deliverStale(token, queue)
        }
    }

    private func deliverStale(_ token: IOToken, _ queue: MockQueue) {
        var token = token
        if chance.happens(20) { token.slot = UInt32(depth + chance.below(3)) }
        // Invented ones lie in the past: what is to come is no stale completion.
        if chance.happens(20) { token.generation &-= UInt32(chance.below(5)) &+ 100 }
        if queue.holds(token) { return }
        let place = chance.below(queue.finished.count + 1)
        let completion = IOCompletion(token: token, result: chance.below(9000) - 100)
        queue.deliver(completion, at: place)
    }

    // MARK: For the test

    /// What the loop did that no driver must bear; empty when all is well.
    var violations: [String] { device.violations }

    /// Every request that was answered.
    var allRequests: [IORequest] { journal.flatMap { $0.map(\.request) } }

    /// A byte of the file.
    func byte(at position: Int) -> UInt8 { device.contents(of: file, position..<position + 1)[0] }
}
