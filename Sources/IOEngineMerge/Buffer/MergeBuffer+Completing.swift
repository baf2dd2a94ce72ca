internal import Glibc
public import IOEngineCore

extension MergeBuffer {
    /// Takes the completion of a request that was handed down. What it means for each part comes out
    /// of ``takeFinished(into:)``, or as a request out of ``next()``: a part of a joined request that
    /// failed, or that ended before it, is handed down again alone.
    public mutating func complete(_ completion: IOCompletion) {
        let slot = completion.token.slot
        guard Int(slot) < depth, groups[Int(slot)].parts > 0, states[Int(slot)] == .joined,
            requests[Int(slot)].token == completion.token
        else { return pass(completion) }
        let group = groups[Int(slot)]
        groups[Int(slot)].parts = 0
        joinedInFlight &-= 1
        surplusInFlight &-= Int(group.parts) &- 1
        let isRead = requests[Int(slot)].action.isRead
        let result = completion.result
        if result == group.length {
            if isRead { hand(out: group, slot, result) }
            finishAll(group, slot)
        } else if (result > 0 && result < group.length) || (result == 0 && isRead) {
            if isRead { hand(out: group, slot, result) }
            share(group, slot, result)
        } else {
            // It failed, and nobody knows where; or it moved more than it was to move.
            repeatAll(group, slot, result)
        }
        release(group)
    }

    /// The completion of what passed unchanged, or of what nobody knows.
    private mutating func pass(_ completion: IOCompletion) {
        let slot = Int(completion.token.slot)
        if slot < depth, states[slot] == .lone, requests[slot].token == completion.token {
            states[slot] = .finished
        }
        finished.push(completion)
    }

    /// Everything was moved.
    @inline(__always)
    private mutating func finishAll(_ group: JoinedRequest, _ slot: UInt32) {
        var part = slot
        for _ in 0..<group.parts {
            finish(part, requests[Int(part)].length)
            part = links[Int(part)]
        }
    }

    /// Only the first `moved` bytes were moved: each part gets what of it they cover. Those that begin
    /// behind go down again, unless the file ends before all of them.
    private mutating func share(_ group: JoinedRequest, _ slot: UInt32, _ moved: Int) {
        var part = slot
        for _ in 0..<group.parts {
            let request = requests[Int(part)]
            let covered = moved &- Int(request.offset &- group.offset)
            // Links change when a slot is used anew, which is not before it is taken out.
            let next = links[Int(part)]
            if covered > 0 || moved == 0 {
                finish(part, min(max(covered, 0), request.length))
            } else {
                enqueue(part)
            }
            part = next
        }
    }

    private mutating func repeatAll(_ group: JoinedRequest, _ slot: UInt32, _ result: Int) {
        // A durable write may have taken the kernel's only word on data that is lost, of other writes too.
        // Repeated, all parts may succeed and nobody would hear of it: so the first one answers it.
        // What is refused before anything is written, or put off, took no word.
        let isToldOnce =
            result < 0 && requests[Int(slot)].isDurable
            && ![EINVAL, EOPNOTSUPP, EAGAIN, EINTR].contains(Int32(clamping: 0 - result))
        var part = slot
        for index in 0..<group.parts {
            // Links change when a slot is used anew, which is not before it is taken out.
            let next = links[Int(part)]
            if isToldOnce, index == 0 {
                finish(part, result)
            } else {
                enqueue(part)
            }
            part = next
        }
    }

    @inline(__always)
    private mutating func finish(_ part: UInt32, _ result: Int) {
        states[Int(part)] = .finished
        finished.push(IOCompletion(token: requests[Int(part)].token, result: result))
    }

    private mutating func enqueue(_ part: UInt32) {
        states[Int(part)] = .repeated
        repeats.push(part)
        statistics.partsRepeated &+= 1
    }

    /// Moves answers into `completions`, as many as there is room for.
    public mutating func takeFinished(into completions: inout OutputSpan<IOCompletion>) {
        var room = completions.freeCapacity
        while room > 0, !finished.isEmpty {
            let completion = finished.pop()
            let slot = Int(completion.token.slot)
            if slot < depth, states[slot] == .finished { states[slot] = .absent }
            completions.append(completion)
            vacate(1)
            room &-= 1
        }
    }

    /// So many answers left.
    @inlinable @inline(__always)
    mutating func vacate(_ count: Int) {
        // Never below 0, even if a driver answers what nobody asked.
        occupied = max(0, occupied &- count)
    }

    /// Stops a request if it was not handed down yet: it then ends with ECANCELED.
    ///
    /// - Returns: `cancelled`; `tooLate` for a part of a joined request, one that is to be repeated after
    ///   such, or one that is answered; nil for what passed unchanged or is not known, which the driver below must be
    ///   asked about.
    public mutating func cancel(_ token: IOToken) -> IOCancellation? {
        let slot = Int(token.slot)
        guard slot < depth, requests[slot].token == token else { return nil }
        switch states[slot] {
        case .absent, .lone: return nil
        case .joined, .repeated, .finished: return .tooLate
        case .staged: break
        }
        guard let place = (first..<end).first(where: { order[$0] == token.slot }) else {
            return nil
        }
        order.move(place + 1..<end, to: place)
        if place < planned { planned -= 1 }
        if place < dueEnd { dueEnd -= 1 }
        end -= 1
        startOverIfEmpty()
        if arrivals.last == token.slot {
            // The slot may be used anew at once, and must not be compared with.
            arrivals.last = .max
            arrivals.isInOrder = false
        }
        if first == end {
            makeDue()
            startBatch()
        }
        states[slot] = .finished
        finished.push(IOCompletion(token: token, result: 0 - MergeBuffer.cancelledErrno))
        return .cancelled
    }
}
