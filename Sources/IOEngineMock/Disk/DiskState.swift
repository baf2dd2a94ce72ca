internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// A simulated disk in motion: its clock, the requests of its drivers, what goes wrong.
struct DiskState {
    var medium: DiskMedium
    let configuration: SimulatedDisk.Configuration
    var random: SimulationRandom
    /// Nanoseconds.
    var clock: Int64
    var queues: [DiskQueue] = []
    var faults = FaultPlan()
    var journal: SimulatedJournal
    /// Requests handed over and requests completed: the points at which a disk can crash.
    var steps = 0
    /// Crash after this step; nil: never.
    var crashStep: Int?
    var crash: SimulatedCrash?

    private var heap = PendingHeap()
    /// Requests in flight, in places that are used again.
    private var places: [PendingRequest?] = []
    private var versions: [UInt32] = []
    private var freePlaces: [Int32] = []
    private var arrivals: UInt64 = 0

    init(_ medium: DiskMedium, clock: Int64, seed: UInt64) {
        self.medium = medium
        configuration = medium.configuration
        self.clock = clock
        random = SimulationRandom(seed: seed)
        journal = SimulatedJournal(limit: configuration.journalLimit)
    }

    static let crashedAnswer = -Int(ENOTRECOVERABLE)

    // MARK: Staging

    mutating func stage(_ request: IORequest, queue: Int) -> IOStaging {
        guard queues[queue].hasRoom else { return .full }
        if crash != nil {
            queues[queue].finish(request.token, Self.crashedAnswer)
            return .queued
        }
        var item = PendingRequest(request: request, queue: queue)
        if request.action.isSync {
            (item.coveredOrdinal, item.coveredSize) = medium.coverage(request.descriptor)
        }
        queues[queue].staged.append(item)
        return .queued
    }

    // MARK: Submitting and waiting

    enum Advance {
        case ended(IOWaitOutcome)
        /// Nothing will happen by itself.
        case idle
    }

    /// Hands over what is staged, then lets time pass until `minimum` requests of the queue are
    /// finished.
    mutating func advance(queue: Int, minimum: Int, deadline: IOInstant?) -> Advance {
        let handedOver = handOver(queue)
        performDue()
        if minimum <= 0 {
            if !handedOver, queues[queue].finishedCount == 0, !heap.isEmpty { poll() }
            return .ended(.ready)
        }
        if random.happens(configuration.earlyWakeUps) { return .ended(.ready) }
        while true {
            let finished = queues[queue].finishedCount
            if finished >= minimum || (finished > 0 && queues[queue].inFlight == 0) {
                return .ended(.ready)
            }
            // What is in flight for the queue may be stuck; others' requests pass the time.
            guard let due = nextDue() else { break }
            if let deadline, due > deadline.nanoseconds { break }
            perform(due)
        }
        guard let deadline else {
            return queues[queue].finishedCount > 0 ? .ended(.ready) : .idle
        }
        clock = max(clock, deadline.nanoseconds)
        return .ended(.deadlinePassed)
    }

    /// A call that finds nothing and hands over nothing takes a microsecond.
    private mutating func poll() {
        clock += 1000
        performDue()
    }

    /// False: nothing was staged.
    private mutating func handOver(_ queue: Int) -> Bool {
        if queues[queue].staged.isEmpty { return false }
        let staged = queues[queue].staged
        queues[queue].staged.removeAll(keepingCapacity: true)
        for (index, item) in staged.enumerated() {
            handOver(item)
            guard crash != nil else { continue }
            for rest in staged[(index + 1)...] {
                queues[queue].finish(rest.request.token, Self.crashedAnswer)
            }
            break
        }
        return true
    }

    private mutating func handOver(_ staged: PendingRequest) {
        var item = staged
        let file = medium.openFile(item.request.descriptor)?.file.number
        item.effect = faults.effect(for: item.request, file: file, &random)
        journal.add(
            SimulatedJournalEntry(.submitted, clock, driver: item.queue, item.request))
        queues[item.queue].inFlight += 1
        var latency = drawLatency(item.request.action)
        if case .isLate(let nanoseconds) = item.effect { latency += max(0, nanoseconds) }
        let place: Int32
        if let free = freePlaces.popLast() {
            place = free
            places[Int(place)] = item
        } else {
            place = Int32(places.count)
            places.append(item)
            versions.append(0)
        }
        if !item.isStuck { push(place, due: clock + latency) }
        step()
    }

    private mutating func push(_ place: Int32, due: Int64) {
        arrivals += 1
        heap.push(
            PendingHeap.Entry(
                due: due, draw: UInt32(truncatingIfNeeded: random.next()), place: place,
                version: versions[Int(place)], arrival: arrivals))
    }

    private mutating func drawLatency(_ action: IOAction) -> Int64 {
        switch action {
        case .read, .readVectored: configuration.readLatency.draw(&random)
        case .write, .writeVectored, .allocate: configuration.writeLatency.draw(&random)
        case .syncData, .syncFull: configuration.syncLatency.draw(&random)
        case .noOperation: 0
        }
    }

    // MARK: Completing

    /// When the next request is due; drops what is stale on the way.
    private mutating func nextDue() -> Int64? {
        while let first = heap.first {
            if versions[Int(first.place)] == first.version { return first.due }
            heap.removeFirst()
        }
        return nil
    }

    private mutating func performDue() {
        while let due = nextDue(), due <= clock { perform(due) }
    }

    /// Completes the first request of the heap.
    private mutating func perform(_ due: Int64) {
        guard let first = heap.first, let item = places[Int(first.place)] else { return }
        heap.removeFirst()
        clock = max(clock, due)
        vacate(first.place)
        complete(item, result(of: item))
    }

    private mutating func complete(_ item: PendingRequest, _ result: Int) {
        queues[item.queue].inFlight -= 1
        queues[item.queue].finish(item.request.token, result)
        journal.add(
            SimulatedJournalEntry(
                .completed, clock, driver: item.queue, item.request, result: result))
        step()
    }

    private mutating func vacate(_ place: Int32) {
        places[Int(place)] = nil
        versions[Int(place)] &+= 1
        freePlaces.append(place)
    }

    private mutating func step() {
        steps += 1
        if let crashStep, steps >= crashStep { _ = crashNow() }
    }

    private mutating func result(of item: PendingRequest) -> Int {
        switch item.cancellation {
        case .none, .ignored: break
        case .takesEffect: return -Int(ECANCELED)
        case .cutsShort(let bytes): return perform(item.request, item, limit: bytes)
        }
        switch item.effect {
        case nil, .isLate, .isStuck: return perform(item.request, item)
        case .fails(let errno):
            if item.request.action.isSync {
                medium.forsake(item.request, covered: item.coveredOrdinal)
            }
            return -Int(errno.rawValue)
        case .failsThoughDone(let errno):
            _ = perform(item.request, item)
            return -Int(errno.rawValue)
        case .moves(let bytes): return perform(item.request, item, limit: bytes)
        case .pretends: return item.request.action.isTransfer ? item.request.length : 0
        case .neverDurable: return perform(item.request, item, safety: .never)
        case .misdirects(let shift): return perform(item.request, item, shift: shift)
        case .flips(let bits):
            let moved = perform(item.request, item)
            if moved > 0 {
                RequestMemory(item.request).flip(bits: bits, ofFirst: moved, &random)
            }
            return moved
        }
    }

    private func perform(
        _ request: IORequest, _ item: PendingRequest, limit: Int = .max, shift: Int64 = 0,
        safety: DiskMedium.Safety = .none
    ) -> Int {
        switch request.action {
        case .read, .readVectored: medium.read(request, limit: limit)
        case .write, .writeVectored:
            medium.write(request, limit: limit, shift: shift, safety)
        case .syncData, .syncFull:
            medium.sync(request, covered: item.coveredOrdinal, size: item.coveredSize)
        case .allocate: medium.allocate(request, safety)
        case .noOperation: 0
        }
    }

    // MARK: Cancelling

    mutating func cancel(_ token: IOToken, queue: Int) -> IOCancellation {
        if let index = queues[queue].staged.firstIndex(where: { $0.request.token == token }) {
            let item = queues[queue].staged.remove(at: index)
            queues[queue].finish(token, -Int(ECANCELED))
            noteCancel(item, 0)
            return .cancelled
        }
        if let place = places.firstIndex(where: {
            $0.map { $0.queue == queue && $0.request.token == token } ?? false
        }) {
            return cancel(at: place)
        }
        return queues[queue].hasFinished(token) ? .tooLate : .unknown
    }

    private mutating func cancel(at place: Int) -> IOCancellation {
        guard var item = places[place] else { return .unknown }
        if case .none = item.cancellation {} else { return .requested }
        if case .isStuck(let canBeCancelled) = item.effect {
            noteCancel(item, canBeCancelled ? 1 : 2)
            if !canBeCancelled { return .tooLate }
            item.cancellation = .takesEffect
        } else {
            switch random.below(3) {
            case 0: item.cancellation = .takesEffect
            case 1
            where item.request.action.isTransfer
                && item.request.length > configuration.sectorSize
                && !item.request.flags.contains(.atomic):
                let sectors = random.within(
                    1...(item.request.length - 1) / configuration.sectorSize)
                item.cancellation = .cutsShort(sectors * configuration.sectorSize)
            default: item.cancellation = .ignored
            }
            noteCancel(item, 1)
        }
        places[place] = item
        if case .ignored = item.cancellation { return .requested }
        // What stood in the heap is stale from now on.
        versions[place] &+= 1
        push(Int32(place), due: clock)
        return .requested
    }

    private mutating func noteCancel(_ item: PendingRequest, _ answer: Int) {
        journal.add(
            SimulatedJournalEntry(
                .cancelAsked, clock, driver: item.queue, item.request, result: answer))
    }

    /// Lets stuck requests go on: they end now, with their own result.
    mutating func releaseStuck() {
        for place in places.indices {
            guard var item = places[place], item.isStuck else { continue }
            item.effect = nil
            places[place] = item
            versions[place] &+= 1
            push(Int32(place), due: clock)
        }
    }

    // MARK: Ending

    /// A driver goes with requests in flight: of these, writes may come about or not.
    mutating func close(queue: Int) {
        for place in places.indices {
            guard let item = places[place], item.queue == queue else { continue }
            // A read must not touch memory from now on; that of a write is still there.
            let comesAbout = !item.request.action.isRead && !item.isStuck && random.happens(50)
            if comesAbout { _ = result(of: item) }
            journal.add(
                SimulatedJournalEntry(
                    .dropped, clock, driver: queue, item.request, result: comesAbout ? 1 : 0))
            vacate(Int32(place))
        }
        queues[queue].removeAll()
    }

    /// Stops the disk. Everything accepted ends as crashed.
    mutating func crashNow() -> SimulatedCrash {
        if let crash { return crash }
        var inFlight: [PendingRequest] = []
        for place in places.indices {
            guard let item = places[place] else { continue }
            inFlight.append(item)
            vacate(Int32(place))
        }
        heap.removeAll()
        random.shuffle(&inFlight)
        for item in inFlight { leave(item) }
        journal.add(
            SimulatedJournalEntry(crashedAt: clock))
        let crash = SimulatedCrash(medium, nanoseconds: clock, seed: random.next())
        self.crash = crash
        // The crash keeps the medium for itself.
        medium = DiskMedium(configuration)
        for queue in queues.indices {
            queues[queue].replaceFinished(by: Self.crashedAnswer)
            let staged = queues[queue].staged.map(\.request.token)
            let inFlight = inFlight.filter { $0.queue == queue }.map(\.request.token)
            queues[queue].staged.removeAll()
            queues[queue].inFlight = 0
            for token in inFlight + staged {
                queues[queue].finish(token, Self.crashedAnswer)
            }
            queues[queue].gate.wake()
        }
        return crash
    }

    /// A write in flight may have reached the disk: it becomes one more version for the crash to choose.
    private func leave(_ item: PendingRequest) {
        switch item.effect {
        case .fails, .pretends: return
        case .misdirects(let shift):
            _ = medium.write(item.request, shift: shift, .inFlight)
        case nil, .failsThoughDone, .moves, .isStuck, .isLate, .neverDurable, .flips:
            switch item.request.action {
            case .write, .writeVectored: _ = medium.write(item.request, .inFlight)
            case .allocate: _ = medium.allocate(item.request, .inFlight)
            case .read, .readVectored, .syncData, .syncFull, .noOperation: break
            }
        }
    }
}
