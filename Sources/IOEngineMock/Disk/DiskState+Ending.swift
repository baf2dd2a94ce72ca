internal import Glibc
internal import IOEngineCore

extension DiskState {
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

    mutating func cancel(at place: Int) -> IOCancellation {
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

    mutating func noteCancel(_ item: PendingRequest, _ answer: Int) {
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
            queues[queue].gate.endWait()
        }
        return crash
    }

    /// A write in flight may have reached the disk: it becomes one more version for the crash to choose.
    func leave(_ item: PendingRequest) {
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
