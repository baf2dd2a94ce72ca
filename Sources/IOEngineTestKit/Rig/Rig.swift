internal import Glibc
internal import IOEngineCore
internal import IOEngineMock

/// A driver under test, driven by hand. Whatever it is used for, it demands what every completion must
/// keep to.
struct Rig<Driver: IODriver & ~Copyable>: ~Copyable {
    var driver: RecordingDriver<Driver>
    /// In flight, by slot; nil: free.
    private var slots: [IORequest?]
    private(set) var inFlight = 0
    private var generation: UInt32
    private var lastTime: IOInstant
    /// How long a wait may take on the driver's clock, before something counts as lost.
    static var patience: Duration { .seconds(5) }

    init(
        depth: Int, recorder: TraceRecorder, firstGeneration: UInt32 = 0,
        _ makeDriver: (Int) throws -> Driver
    ) throws {
        driver = RecordingDriver(try makeDriver(depth), recorder: recorder)
        slots = Array(repeating: nil, count: depth)
        generation = firstGeneration
        lastTime = driver.now()
    }

    var depth: Int { slots.count }

    // MARK: Making requests

    /// A request in a free slot. There is one.
    mutating func request(
        _ action: IOAction, _ descriptor: Int32 = -1, _ memory: RigMemory? = nil, place: Int = 0,
        count: Int? = nil, at offset: Int64 = 0, flags: IOFlags = []
    ) -> IORequest {
        let address = unsafe memory.map { unsafe $0.base + place }
        let length = count ?? memory.map { $0.count - place } ?? 0
        return unsafe IORequest(
            token: nextToken(), action: action, descriptor: descriptor, address: address,
            offset: offset, length: length, flags: flags)
    }

    mutating func request(
        _ action: IOAction, _ descriptor: Int32, _ vectors: RigVectors, length: Int,
        at offset: Int64
    ) -> IORequest {
        unsafe IORequest(
            token: nextToken(), action: action, descriptor: descriptor, address: vectors.address,
            vectorCount: UInt32(vectors.count), offset: offset, length: length)
    }

    mutating func request(
        allocate mode: IOAllocationMode, _ descriptor: Int32, _ range: Range<Int>
    ) -> IORequest {
        unsafe IORequest(
            token: nextToken(), action: .allocate, descriptor: descriptor,
            offset: Int64(range.lowerBound), length: range.count, allocationMode: mode)
    }

    private mutating func nextToken() -> IOToken {
        generation &+= 1
        let free = slots.firstIndex { $0 == nil } ?? 0
        return IOToken(slot: UInt32(free), generation: generation)
    }

    // MARK: Driving

    /// Stages what must find room.
    mutating func stage(_ request: IORequest) throws {
        try demand(
            .depth, tryStage(request) == .queued,
            "stage answered full with \(inFlight) requests in flight and a depth of \(depth)")
    }

    mutating func tryStage(_ request: IORequest) -> IOStaging {
        let answer = driver.stage(request)
        if answer == .queued {
            let slot = Int(request.token.slot)
            while slots.count <= slot { slots.append(nil) }
            slots[slot] = request
            inFlight += 1
        }
        return answer
    }

    /// Submits, and checks that the clock went on.
    mutating func submit(minimum: Int, deadline: IOInstant?) throws -> IOWaitOutcome {
        let outcome = driver.submit(minimum: minimum, deadline: deadline)
        let time = driver.now()
        try demand(
            .clock, time >= lastTime,
            "it went from \(lastTime.nanoseconds) back to \(time.nanoseconds) ns")
        lastTime = time
        return outcome
    }

    /// Takes what is finished, at most `most`, and checks it against what is in flight.
    mutating func reap(most: Int = 64) throws -> [IOCompletion] {
        let found = driver.reap(most: most)
        for completion in found { try settle(completion) }
        return found
    }

    private mutating func settle(_ completion: IOCompletion) throws {
        let token = completion.token
        guard Int(token.slot) < slots.count, let request = slots[Int(token.slot)] else {
            throw ContractEnd.broken(
                .exactlyOnce,
                "a completion came for slot \(token.slot), in which nothing was in flight")
        }
        try demand(
            .tokens, request.token == token,
            "the request in slot \(token.slot) had generation \(request.token.generation), "
                + "its completion \(token.generation)")
        let most = request.action.isTransfer ? request.length : 0
        try demand(
            request.action.isTransfer ? .transfers : .errors,
            completion.result <= most && completion.result > -4096,
            "a \(request.action) of \(request.length) bytes was answered with \(completion.result)")
        slots[Int(token.slot)] = nil
        inFlight -= 1
    }

    /// Waits until at least one request is finished.
    mutating func some(patience: Duration = Self.patience) throws -> [IOCompletion] {
        let deadline = driver.now().advanced(by: patience)
        var fruitless = 0
        while true {
            let outcome = try submit(minimum: 1, deadline: deadline)
            let found = try reap()
            if !found.isEmpty { return found }
            fruitless += 1
            switch outcome {
            case .ready, .woken:
                try demand(
                    .progress, fruitless < 100_000,
                    "\(fruitless) submissions in a row gave nothing, with \(inFlight) in flight")
            case .deadlinePassed:
                throw ContractEnd.broken(
                    .exactlyOnce, "\(inFlight) requests were not completed within \(patience)")
            case .failed(let errno):
                throw ContractEnd.broken(
                    .progress, "submit failed with errno \(errno), \(inFlight) in flight")
            }
        }
    }

    /// Waits until nothing is in flight. Results by the number of the slot.
    @discardableResult
    mutating func finish() throws -> [UInt32: Int] {
        var results: [UInt32: Int] = [:]
        while inFlight > 0 {
            for completion in try some() { results[completion.token.slot] = completion.result }
        }
        let extra = try reap()
        try demand(
            .exactlyOnce, extra.isEmpty, "completions came though nothing was in flight any more")
        return results
    }

    /// Does one request.
    mutating func one(_ request: IORequest) throws -> Int {
        try stage(request)
        return try finish()[request.token.slot] ?? 0
    }
}

extension IODriver where Self: ~Copyable {
    /// What is finished now, at most `most`.
    mutating func reap(most: Int) -> [IOCompletion] {
        unsafe withUnsafeTemporaryAllocation(of: IOCompletion.self, capacity: max(1, most)) {
            memory in
            let part = unsafe UnsafeMutableBufferPointer(rebasing: memory[..<most])
            var span = unsafe OutputSpan(buffer: part, initializedCount: 0)
            reap(into: &span)
            let count = unsafe span.finalize(for: part)
            return unsafe Array(part[..<count])
        }
    }
}
