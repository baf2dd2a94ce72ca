import BasicContainers
import Synchronization
import SystemPackage

@testable import IOEngineCore

/// Answers, and what may wait.
extension ContextSchedule {
    // MARK: Answers

    /// What the context said to a cancellation.
    func noteAnswer(
        _ id: Int, _ submission: Int, _ answer: IOCancellation, _ place: Hits.Place?,
        isDirect: Bool
    ) {
        let record = records[id]
        note("cancel: \(answer)")
        guard record.submissions == submission else { return }
        if answer == .cancelled, record.isPending {
            if record.requests == 0 { records[id].neverBegins = true }
            if record.isAtDriver, script.pending(UInt16(id))?.isStaged == false {
                problem("event \(id): cancelled, but the kernel has it")
            }
        }
        guard isDirect, record.isPending, answer == .unknown else { return }
        // On their way to a worker, or called: unknown. Else it is there.
        if place != .workers, !isOnItsWay(id) {
            problem(
                "event \(id): unknown although it is \(place.map { "\($0)" } ?? "finished")\n\(describe(id))"
            )
        }
    }

    /// Ended without a slot, or finished and handed to a worker.
    private func isOnItsWay(_ id: Int) -> Bool { slot(of: id) == nil }

    /// Looks for answers that have come.
    func checkAnswers() {
        replies.removeAll { open in
            guard let answer = open.reply.answer else { return false }
            noteAnswer(open.id, open.submission, answer, nil, isDirect: false)
            return true
        }
        sweeps.removeAll { sweep in
            guard sweep.reply.answer != nil else { return false }
            for id in records.indices
            where isPending(id, on: sweep.descriptor) && records[id].stopped == nil {
                // The letter was read in this round, perhaps before the clock went on.
                records[id].stopped = roundBegan
            }
            return true
        }
        drains.removeAll { drain in
            guard drain.reply.answer != nil else { return false }
            note("drained")
            drainDoneFor = 0
            for (id, submission) in drain.events {
                if records[id].calls < submission {
                    problem("drained before event \(id) was called")
                }
                if isUnsettled(id), records[id].submissions == submission, !script.isDead {
                    problem("drained before event \(id) has settled")
                }
            }
            return true
        }
        checkDrain()
        fences.removeAll { close in
            guard close.reply.answer != nil else { return false }
            note("closed")
            return true
        }
    }

    /// A drain is not held up by what came later; what callbacks submit before the loop has read of it may
    /// count too.
    private func checkDrain() {
        for i in drains.indices where drains[i].readTick == nil && drains[i].cycle < cycles {
            drains[i].readTick = tick
        }
        guard let drain = drains.first, !context.hasEnded, inHands.isEmpty, isWorkerIdle,
            !records.indices.contains(where: {
                (records[$0].isPending || isUnsettled($0)) && isBefore($0, drain)
            })
        else {
            drainDoneFor = 0
            return
        }
        drainDoneFor += 1
        if drainDoneFor > 5 { problem("a drain goes on although all is done") }
    }

    private func isBefore(_ id: Int, _ drain: OpenDrain) -> Bool {
        let record = records[id]
        // What the loop took straight into a slot cannot be told apart.
        if record.ticket?.isOfSlot == true || record.isInPlace { return true }
        let isQueued = record.ticket?.queuePosition != nil
        return record.began <= (isQueued ? drain.tick : drain.readTick ?? .max)
    }

    // MARK: Waiting

    /// After a round of the loop: whatever waits has a reason to.
    func checkWaiting() {
        guard mayLook, !script.isDead else { return }
        let side = unsafe context.side
        let core = unsafe side.pointee.core
        for number in 0..<UInt32(context.depth) {
            let slot = unsafe core.pointee.slots.slot(number)
            let state = unsafe slot.pointee.machine.state
            if state == .vacant { continue }
            let id = unsafe Int(core.pointee.slots.event(number).pointee.priority.rawValue)
            if state == .held {
                unsafe checkHeld(id, core.pointee.policies[Int(number)].holds)
            }
            // Its deadline had passed when this round began.
            if state == .inFlight, records[id].deadline <= roundBegan, records[id].isAtDriver,
                script.pending(UInt16(id))?.stopAsked == false
            {
                problem("event \(id): past its deadline, and not stopped")
            }
        }
        if unsafe core.pointee.bytesInFlight < 0 { problem("fewer than no bytes in flight") }
    }

    private func checkHeld(_ id: Int, _ holds: HoldReasons) {
        let record = records[id]
        if holds.isEmpty { problem("event \(id): held for nothing") }
        if holds.contains(.barrier), !hasEarlier(id, where: { $0.action.changesData }) {
            problem("sync \(id): waits for no write\n\(describe(id))")
        }
        if holds.contains(.append), !hasEarlier(id, where: { $0.isAppend }) {
            problem("append \(id): waits for no other")
        }
        if holds.contains(.chain), record.mayFollow, let previous = record.chain.previous,
            !records[previous].isPending
        {
            problem("event \(id): its predecessor has succeeded")
        }
    }

    /// Whether something that may have been accepted before an event has not settled.
    private func hasEarlier(_ id: Int, where matches: (Record) -> Bool) -> Bool {
        let record = records[id]
        return records.indices.contains { other in
            other != id && records[other].descriptor == record.descriptor
                && matches(records[other])
                && (records[other].began < record.returned || records[other].beganBehindClaims)
                && (records[other].isPending || isUnsettled(other))
        }
    }

    // MARK: The end

    func checkEnd() {
        problems += script.violations.prefix(3)
        guard problems.isEmpty else { return }
        if !context.hasEnded { return problem("the loop has not ended") }
        for (id, record) in records.enumerated() {
            if record.submissions != record.calls {
                problem("event \(id): \(record.submissions) submissions, \(record.calls) calls")
            }
            if isUnsettled(id), !script.isDead { problem("event \(id): never settled") }
            // What a dead driver has is kept for ever.
            if liveBuffers[id] != nil, !isUnsettled(id) { problem("event \(id): memory leaked") }
            if liveBuffers[id] == nil, isUnsettled(id), record.action.isTransfer {
                problem("event \(id): memory freed that a dead driver has")
            }
        }
        for open in replies where open.reply.answer == nil { problem("a cancellation unanswered") }
        for open in sweeps where open.reply.answer == nil { problem("a sweep unanswered") }
        checkAnswers()
        if !drains.isEmpty { problem("a drain unanswered") }
        if !fences.isEmpty { problem("a close unanswered") }
        if case .position = context.shared.queue.claim(1) { problem("accepted after the end") }
        for object in objects {
            guard let object else { continue }
            let holds = object.state.load(ordering: .relaxed) & (1 << 61 - 1)
            if holds != 0, !script.isDead { problem("a descriptor is still held") }
        }
    }
}
