import BasicContainers
import SystemPackage

@testable import IOEngineCore

/// The rules, as DESIGN has them.
extension ContextSchedule {
    // MARK: What the driver sees

    func staged(_ request: IORequest) {
        let id = Int(request.priority.rawValue)
        let record = records[id]
        if !record.isPending { problem("event \(id): a request of what is not accepted") }
        if record.isAtDriver { problem("event \(id): two requests at once") }
        if record.neverBegins {
            problem("event \(id): begins although it was said to be cancelled")
        }
        if record.refusal != nil { problem("event \(id): begins although it is bad") }
        if unsafe context.side.pointee.isDriverDead {
            problem("event \(id): begins although the driver is dead")
        }
        if script.requests.count > context.depth { problem("more at the driver than the depth") }
        records[id].isAtDriver = true
        records[id].requests += 1
        if record.requests == 0 { checkOrder(id) }
        checkBytes()
        if record.action.changesData, let sync = latestSync[record.descriptor],
            record.returned < sync
        {
            problem("event \(id): a write that begins after a sync which it precedes")
        }
        if record.action.isSync { checkSync(id) }
    }

    /// Nothing accepted earlier has been overtaken, and a chain goes step by step.
    private func checkOrder(_ id: Int) {
        if records[id].chain.previous != nil, !records[id].mayFollow {
            problem("event \(id): begins before its predecessor has succeeded")
        }
        // A loop whose driver is gone gives up what it has; what comes later is only seen off.
        guard claims.isEmpty, !records[id].beganBehindClaims, sweeps.isEmpty, !isDriverGone,
            shutdownDeadline > script.clock, !mayBeHeld(id)
        else { return }
        for other in records.indices
        where other != id && records[other].isPending && records[other].requests == 0
            && records[other].returned < records[id].began && records[other].stopped == nil
            && records[other].deadline > script.clock && records[other].refusal == nil
            && !records[other].isReturned
            && closings[records[other].descriptor] == nil && !mayBeHeld(other)
            && !isRefusedForever(other)
        {
            problem(
                "event \(id) overtakes event \(other)\n\(describe(id))\n\(describe(other)) cycle \(cycles) workers \(hasWorkers)"
            )
        }
    }

    /// It has been refused because all slots were abandoned, and is on its way to its callback.
    private func isRefusedForever(_ id: Int) -> Bool {
        unsafe context.side.pointee.core.pointee.statistics.abandoned > 0
            && slot(of: id) == nil && !isInBacklog(id)
    }

    private func mayBeHeld(_ id: Int) -> Bool {
        records[id].action.isSync || records[id].isAppend || records[id].isChained
    }

    private func checkBytes() {
        guard maximumBytes < .max else { return }
        var bytes = 0
        var count = 0
        for pending in script.requests {
            let write = Int(pending.request.priority.rawValue)
            let record = records[write]
            guard record.action.isTransfer else { continue }
            bytes += record.length
            // What was given up stays charged, and nothing waits for it.
            if state(of: write) != .abandoned { count += 1 }
        }
        if bytes > maximumBytes, count > 1 {
            problem("\(bytes) bytes of \(maximumBytes) in flight")
        }
        if bytes > maximumBytes { note("alone above the bound") }
    }

    private func checkSync(_ id: Int) {
        let record = records[id]
        for pending in script.requests where pending.request.action.changesData {
            let write = Int(pending.request.priority.rawValue)
            if records[write].descriptor == record.descriptor,
                records[write].returned < record.began
            {
                problem("sync \(id) begins before write \(write) has settled")
            }
        }
        if lost.contains(record.descriptor) {
            problem("sync \(id) begins although one before it has lost data\n\(describe(id))")
        }
        latestSync[record.descriptor] = max(latestSync[record.descriptor] ?? 0, record.began)
    }

    func finished(_ request: IORequest, _ result: Int) {
        let id = Int(request.priority.rawValue)
        records[id].isAtDriver = false
        records[id].answers.append((request.length, result))
        records[id].lastAnswerCycle = cycles
        if let next = records[id].chain.next, case .success = outcome(of: id),
            state(of: id) != .abandoned
        {
            records[next].mayFollow = true
        }
    }

    // MARK: How an event must end

    enum Outcome: Equatable {
        /// There is more to do.
        case unfinished
        case success
        /// Handed over with less than asked.
        case short
        case failure(Errno)
    }

    /// What the driver's answers mean.
    func outcome(of id: Int) -> Outcome { fold(records[id]).outcome }

    func fold(_ record: Record) -> (outcome: Outcome, progress: Int) {
        var progress = record.progress
        var retries = 0
        for answer in record.answers {
            if answer.result < 0 {
                let errno = Errno(rawValue: Int32(-answer.result))
                let isRetried =
                    errno == .interrupted
                    || (errno == .resourceTemporarilyUnavailable
                        && !record.flags.contains(.noWait))
                if !isRetried || retries == 32 { return (.failure(errno), progress) }
                retries += 1
                continue
            }
            guard record.action.isTransfer else { return (.success, progress) }
            if answer.result == 0 {
                return (record.action.isWrite ? .failure(.ioError) : .success, progress)
            }
            progress += answer.result
            retries = 0
            if progress == record.length { return (.success, progress) }
            if answer.result < answer.length, record.handsOver || record.isWhole {
                return (.short, progress)
            }
        }
        return (.unfinished, progress)
    }

    func check(_ id: Int, _ event: inout IOEvent<Call>) {
        records[id].calls += 1
        let record = records[id]
        guard record.calls == record.submissions else {
            return problem("event \(id): \(record.calls) calls, \(record.submissions) submissions")
        }
        var reason = IOError.Reason.kernel
        if case .failure(let error) = event.result { reason = error.reason }
        guard event.isSettled else { return checkAbandoned(id, &event) }
        if record.isAtDriver { problem("event \(id): called back while the driver has it") }
        checkMemory(id, &event)
        let (outcome, progress) = fold(record)
        if event.transferred != progress {
            problem("event \(id): \(event.transferred) bytes instead of \(progress)")
        }
        switch outcome {
        case .success where reason == .stickySyncError:
            if !record.action.isSync { problem("event \(id) is no sync") }
            note("success beside a sync that failed")
        case .success:
            if event.errno != nil { problem("event \(id): a success that failed: \(event.result)") }
            if !event.isDone { problem("event \(id): not done") }
            // Workers may be told of a success that came first after a failure that came later.
            if record.action.isSync, !hasWorkers, lost.contains(record.descriptor) {
                problem("sync \(id) succeeds although another has lost data")
            }
            if record.stopped != nil { note("success although stopped") }
        case .short:
            if event.errno != nil || event.isDone { problem("event \(id): not handed over short") }
        case .failure(.canceled): checkStopped(id, event.errno, reason)
        case .failure(let errno):
            if event.errno != errno { problem("event \(id): \(event.result), not \(errno)") }
            noteLost(id, errno)
        case .unfinished: checkUnfinished(id, event.errno, reason)
        }
    }

    private func checkMemory(_ id: Int, _ event: inout IOEvent<Call>) {
        let record = records[id]
        func compare(_ buffer: borrowing IOBuffer, _ start: Int) {
            for i in 0..<buffer.count
            where buffer[i] != TimedScript.content(at: Int(record.offset) + start + i) {
                return problem("event \(id): wrong bytes")
            }
        }
        if record.action.isVectored {
            event.withBuffers { buffers in
                var start = 0
                for i in 0..<buffers.count {
                    compare(buffers[i], start)
                    start += buffers[i].capacity
                }
                if start != record.length { problem("event \(id): buffers lost") }
            }
        } else if record.action.isTransfer {
            if event.buffer.capacity != record.length { problem("event \(id): buffer lost") }
            if record.refusal == nil { compare(event.buffer, 0) }
        }
    }

    /// A stop was asked for, by this.
    private func checkStopped(_ id: Int, _ errno: Errno?, _ reason: IOError.Reason) {
        let record = records[id]
        switch reason {
        case .cancelled:
            if errno != .canceled { problem("event \(id): cancelled, but \(errno as Any)") }
            let isSwept = sweeps.contains {
                $0.descriptor == nil || $0.descriptor == record.descriptor
            }
            if record.stopped == nil, !isSwept, !script.isDead, shutdownDeadline > script.clock {
                problem("event \(id): cancelled, which nobody asked for\n\(describe(id))")
            }
            note("cancelled")
        case .deadlinePassed:
            if errno != .timedOut { problem("event \(id): deadline passed, but \(errno as Any)") }
            if record.deadline > script.clock { problem("event \(id): stopped too soon") }
            note("timed out")
        default: problem("event \(id): stopped because of \(reason)")
        }
    }

    /// It ended although the driver did not end it.
    private func checkUnfinished(_ id: Int, _ errno: Errno?, _ reason: IOError.Reason) {
        let record = records[id]
        guard let errno else {
            return problem("event \(id): a success that the driver knows nothing of")
        }
        if let refusal = record.refusal {
            if errno != refusal, reason != .cancelled, reason != .deadlinePassed,
                reason != .chainBroken, reason != .slotsAbandoned
            {
                problem("event \(id): \(errno) instead of \(refusal)")
            }
            return note("refused")
        }
        switch reason {
        case .cancelled, .deadlinePassed: checkStopped(id, errno, reason)
        case .chainBroken:
            if errno != .canceled { problem("event \(id): a broken chain answers \(errno)") }
            // Of a sync it was, if another one was told meanwhile that data is lost.
            let previous = record.chain.previous.map { records[$0] }
            if record.mayFollow, previous?.action.isSync != true {
                problem("event \(id): its chain was not broken")
            }
            if record.requests > 0 { problem("event \(id): it had begun") }
            note("chain broken")
        case .stickySyncError:
            if !record.action.isSync { problem("event \(id) is no sync") }
            note("sticky sync error")
        case .closedDescriptor:
            if errno != .badFileDescriptor { problem("event \(id): closed answers \(errno)") }
            guard let closing = closings[record.descriptor], closing < record.returned else {
                return problem("event \(id): refused by what is open")
            }
            note("closed descriptor")
        case .slotsAbandoned:
            if errno != .resourceTemporarilyUnavailable || record.requests > 0 {
                problem("event \(id): no slot for it answers \(errno)")
            }
            if unsafe context.side.pointee.core.pointee.statistics.abandoned == 0 {
                problem("event \(id): there are slots")
            }
            note("no slots left")
        case .kernel where script.isDead && errno == .canceled: note("dead driver")
        case .driverFull where script.isDead: note("dead driver")
        default: problem("event \(id): \(errno) because of \(reason)")
        }
    }

    /// A failed sync is known of from now on, unless that was cleared meanwhile.
    private func noteLost(_ id: Int, _ errno: Errno) {
        let record = records[id]
        guard record.action.isSync, errno == .ioError || errno == .noSpace,
            record.lastAnswerCycle > cleared[record.descriptor] ?? -1
        else { return }
        lost.insert(record.descriptor)
    }

    // MARK: Given up

    private func checkAbandoned(_ id: Int, _ event: inout IOEvent<Call>) {
        let record = records[id]
        records[id].isAbandoned = true
        note("abandoned")
        if !script.isDead {
            hits[.abandonment, script.pending(UInt16(id))?.isStaged == true ? .staged : .kernel] +=
                1
        }
        hitAll(.abandonment)
        if event.buffer.capacity > 0 || event.withBuffers({ $0.count }) > 0 {
            problem("event \(id): memory handed out with a request that is not settled")
        }
        if record.requests == 0 { problem("event \(id): given up before it began") }
        guard event.isDone, event.errno == .canceled || event.errno == .timedOut else {
            return problem("event \(id): given up with \(event.result)")
        }
        if script.isDead { return }
        let patience = record.limits.abandonNanoseconds
        let stopped = min(record.stopped ?? .max, record.deadline, shutdownDeadline)
        let isShutdown = shutdownDeadline < .max && shutdownDeadline + 100_000_000 <= script.clock
        let isOutOfPatience =
            stopped < .max && patience < .max && stopped + patience <= script.clock
        if !isShutdown, !isOutOfPatience, sweeps.isEmpty {
            problem("event \(id): given up too soon")
        }
    }

    /// An event that went on where it lay has no ticket that anybody learnt. Of several that look alike it
    /// is one that ended like this.
    private func nameless(_ settlement: IOSettlement) -> Int? {
        let candidates = records.indices.filter { id in
            let record = records[id]
            return record.ticket == nil && record.isAbandoned && !record.hasSettled
                && !record.isAtDriver && record.action == settlement.action
                && record.descriptor == settlement.descriptor
                && record.offset == settlement.offset && record.length == settlement.length
        }
        return candidates.first { id in
            ending(of: records[id]).map { $0 == (settlement.errno, settlement.transferred) }
                ?? false
        } ?? candidates.first
    }

    /// How an event's last request ended, and what was moved in all.
    private func ending(of record: Record) -> (Errno?, Int)? {
        guard let last = record.answers.last else { return nil }
        let moved = record.answers.reduce(record.progress) {
            $0 + (record.action.isTransfer ? max(0, $1.result) : 0)
        }
        return (last.result < 0 ? Errno(rawValue: Int32(-last.result)) : nil, moved)
    }

    func settled(_ settlement: IOSettlement) {
        note("settled")
        guard let id = tickets[settlement.ticket] ?? nameless(settlement) else {
            return problem("a settlement of nobody: \(settlement)")
        }
        let record = records[id]
        if record.hasSettled { problem("event \(id): settled twice") }
        records[id].hasSettled = true
        if record.isAtDriver { problem("event \(id): settled while the driver has it") }
        guard let (errno, moved) = ending(of: record) else {
            return problem("event \(id): settled unbegun")
        }
        if settlement.errno != errno || settlement.transferred != moved
            || settlement.length != record.length || settlement.offset != record.offset
            || settlement.descriptor != record.descriptor || settlement.action != record.action
        {
            problem("event \(id): settled as \(settlement), not \(errno as Any) with \(moved)")
        }
        if let errno { noteLost(id, errno) }
    }
}
