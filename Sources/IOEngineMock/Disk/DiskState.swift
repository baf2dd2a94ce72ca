internal import Glibc
internal import IOEngineCore

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

    var heap = PendingHeap()
    /// Requests in flight, in places that are used again.
    var places: [PendingRequest?] = []
    var versions: [UInt32] = []
    var freePlaces: [Int32] = []
    var arrivals: UInt64 = 0

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
    mutating func poll() {
        clock += 1000
        performDue()
    }

    /// False: nothing was staged.
    mutating func handOver(_ queue: Int) -> Bool {
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

    mutating func handOver(_ staged: PendingRequest) {
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

    mutating func push(_ place: Int32, due: Int64) {
        arrivals += 1
        heap.push(
            PendingHeap.Entry(
                due: due, draw: UInt32(truncatingIfNeeded: random.next()), place: place,
                version: versions[Int(place)], arrival: arrivals))
    }

    mutating func drawLatency(_ action: IOAction) -> Int64 {
        switch action {
        case .read, .readVectored: configuration.readLatency.draw(&random)
        case .write, .writeVectored, .allocate: configuration.writeLatency.draw(&random)
        case .syncData, .syncFull: configuration.syncLatency.draw(&random)
        case .noOperation: 0
        }
    }
}
