internal import Glibc
internal import IOEngineCore
internal import SystemPackage

extension DiskState {
    /// When the next request is due; drops what is stale on the way.
    mutating func nextDue() -> Int64? {
        while let first = heap.first {
            if versions[Int(first.place)] == first.version { return first.due }
            heap.removeFirst()
        }
        return nil
    }

    mutating func performDue() {
        while let due = nextDue(), due <= clock { perform(due) }
    }

    /// Completes the first request of the heap.
    mutating func perform(_ due: Int64) {
        guard let first = heap.first, let item = places[Int(first.place)] else { return }
        heap.removeFirst()
        clock = max(clock, due)
        vacate(first.place)
        complete(item, result(of: item))
    }

    mutating func complete(_ item: PendingRequest, _ result: Int) {
        queues[item.queue].inFlight -= 1
        queues[item.queue].finish(item.request.token, result)
        journal.add(
            SimulatedJournalEntry(
                .completed, clock, driver: item.queue, item.request, result: result))
        step()
    }

    mutating func vacate(_ place: Int32) {
        places[Int(place)] = nil
        versions[Int(place)] &+= 1
        freePlaces.append(place)
    }

    mutating func step() {
        steps += 1
        if let crashStep, steps >= crashStep { _ = crashNow() }
    }

    mutating func result(of item: PendingRequest) -> Int {
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

    func perform(
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
}
