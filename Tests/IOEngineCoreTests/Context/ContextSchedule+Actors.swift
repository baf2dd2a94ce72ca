import BasicContainers
import IOEngineMock
import Synchronization
import SystemPackage

@testable import IOEngineCore

/// What the threads around a loop do.
extension ContextSchedule {
    // MARK: Whose turn it is

    /// Somebody's turn between two rounds of the loop.
    func act() {
        if chance.happens(20) { actOnLoop() } else { actElsewhere() }
    }

    /// The loop's thread is in the driver.
    func meanwhile() {
        guard steps > 0, chance.happens(shape.meanwhile) else { return }
        actElsewhere()
    }

    func whileAsleep() -> Bool {
        if steps > 0, problems.isEmpty {
            actElsewhere()
            return true
        }
        if isEnded { return actAtTheEnd() }
        isEnded = true
        shutDown()
        return true
    }

    /// A job on the loop's own thread, between completions.
    private func actOnLoop() {
        steps -= 1
        isOnLoop = true
        isInCycle = true
        defer {
            isOnLoop = false
            isInCycle = false
        }
        switch chance.below(10) {
        case 0...4:
            if events > 0 { submitOnLoop(newRecord()) }
            if chance.happens(2) { shutDown() }
        case 5:
            if events > 4 { submitChainOnLoop() }
        case 6: cancelSomething()
        case 7: cancelAllOnLoop()
        case 8: clearLost()
        default: look()
        }
    }

    /// Another thread.
    func actElsewhere() {
        steps -= 1
        let wasOnLoop = isOnLoop
        isOnLoop = false
        defer { isOnLoop = wasOnLoop }
        if chance.happens(shape.producers) {
            if events > 0 { submit(newRecord()) }
            return
        }
        if chance.happens(shape.chains) {
            if events > 4 { submitChain() }
            return
        }
        if chance.happens(shape.cancels) { return cancelSomething() }
        switch chance.below(20) {
        case 0, 1: claim()
        case 2, 3, 4: fill()
        case 5, 6: takeByHand()
        case 7, 8: finishByHand()
        case 9, 10: runWorker()
        case 11: script.clock += Int64(chance.below(2000))
        case 12: thawOne()
        case 13: if chance.happens(20) { script.thaw() }
        case 14: if chance.happens(50) { cancelAllByLetter() }
        case 15: drain()
        case 16: if chance.happens(30) { close() }
        case 17: if chance.happens(10) { shutDown() }
        case 18: if chance.happens(2) { kill() }
        default: closeAtOnce()
        }
    }

    // MARK: The loop

    func cycle() {
        let wasInCycle = isInCycle
        let wasOnLoop = isOnLoop
        // While the loop's tables may still be looked at.
        noteTime()
        isInCycle = true
        isOnLoop = false
        cycles += 1
        roundBegan = script.clock
        let goesOn = context.cycle()
        isInCycle = wasInCycle
        isOnLoop = wasOnLoop
        noteTaken()
        if !goesOn, workersBusy > 0 { problem("the loop ended while a callback ran") }
        if script.sleptForEver { problem("the loop sleeps for ever") }
        checkAnswers()
        if goesOn { checkWaiting() }
    }

    // MARK: Submitting

    private func submit(_ id: Int) {
        let limits = newLimits()
        let before = begin(id, limits)
        switch context.submit(makeEvent(id), limits) {
        case .accepted(let ticket):
            accept(id, ticket)
            if isShutDown { problem("event \(id): accepted after the end of intake") }
        case .full:
            note("full")
            giveBack(id, before)
        case .closed:
            if !isShutDown && !isDriverGone { problem("closed too soon") }
            note("closed")
            giveBack(id, before)
        }
    }

    private func submitOnLoop(_ id: Int) {
        let limits = newLimits()
        let before = begin(id, limits)
        isSubmitting += 1
        let outcome = context.submitOnLoop(makeEvent(id), limits)
        isSubmitting -= 1
        switch outcome {
        case .accepted(let ticket):
            accept(id, ticket)
            if unsafe context.side.pointee.isEnding { problem("accepted while the loop ends") }
            note("submitted on the loop")
        case .full: giveBack(id, before)
        case .closed:
            if !isShutDown && !isDriverGone { problem("closed too soon") }
            giveBack(id, before)
        }
    }

    private func newChain() -> [Int] {
        var ids: [Int] = []
        for _ in 0..<2 + chance.below(3) {
            let id = newRecord()
            if let last = ids.last {
                records[last].chain.next = id
                records[id].chain.previous = last
            }
            ids.append(id)
        }
        return ids
    }

    private func beginChain(_ ids: [Int], _ limits: IOLimits) -> UniqueArray<IOEvent<Call>> {
        var events = UniqueArray<IOEvent<Call>>()
        for id in ids {
            _ = begin(id, limits)
            events.append(makeEvent(id))
        }
        return events
    }

    private func noteChain(_ ids: [Int], _ outcome: consuming IOChainSubmission<Call>) {
        switch consume outcome {
        case .accepted(let tickets):
            if tickets.count != ids.count { problem("a chain has too few tickets") }
            for (id, ticket) in zip(ids, tickets) { accept(id, ticket) }
            note("chain")
        case .full(let events): giveBack(ids, events)
        case .tooLong(let events, let limit):
            if ids.count <= limit { problem("a chain that is not too long") }
            giveBack(ids, events)
        case .closed(let events): giveBack(ids, events)
        }
    }

    /// A chain was not taken.
    private func giveBack(_ ids: [Int], _ events: consuming UniqueArray<IOEvent<Call>>) {
        if events.count != ids.count { problem("a chain was taken in part") }
        for id in ids {
            if records[id].requests > 0 { problem("event \(id): given back, and begun") }
            records[id].submissions -= 1
            records[id].chain = (nil, nil)
        }
    }

    private func submitChain() {
        let ids = newChain()
        let limits = newLimits()
        let events = beginChain(ids, limits)
        if ids.count > min(context.depth, context.shared.queue.capacity) {
            return noteChain(ids, .full(events))
        }
        noteChain(ids, context.submit(chain: events, limits))
    }

    private func submitChainOnLoop() {
        let ids = newChain()
        let limits = newLimits()
        let events = beginChain(ids, limits)
        isSubmitting += 1
        let outcome = context.submitOnLoop(chain: events, limits)
        isSubmitting -= 1
        noteChain(ids, outcome)
    }

    /// A producer claims places, and is interrupted before it fills them.
    private func claim() {
        guard claims.count < 3, events > 3 else { return }
        let count = 1 + (chance.happens(shape.chains) ? min(context.depth, 3) - 1 : 0)
        guard count <= context.shared.queue.capacity,
            case .position(let position) = context.shared.queue.claim(count)
        else { return }
        var ids: [Int] = []
        let limits = newLimits()
        for i in 0..<count {
            let id = newRecord()
            if i > 0 {
                records[ids[i - 1]].chain.next = id
                records[id].chain.previous = ids[i - 1]
            }
            _ = begin(id, limits)
            ids.append(id)
        }
        claims.append(OpenClaim(position: position, ids: ids, left: count))
        note("claimed")
    }

    /// It goes on: the last place of a chain first.
    func fill() {
        guard !claims.isEmpty else { return }
        let which = chance.below(claims.count)
        claims[which].left -= 1
        let claim = claims[which]
        let i = claim.left
        let id = claim.ids[i]
        let shared = context.shared
        shared.queue.fill(
            claim.position + i,
            QueuedEvent(
                makeEvent(id), records[id].limits,
                followers: UInt32(claim.ids.count - 1 - i), isFollower: i > 0))
        guard i == 0 else { return }
        claims.remove(at: which)
        shared.wake()
        for (i, id) in claim.ids.enumerated() {
            accept(id, IOTicket(queued: claim.position + i))
        }
    }

    // MARK: Workers

    /// A worker takes an event and is interrupted before its callback.
    private func takeByHand() {
        guard hasWorkers, inHands.count < 3, let delivered = context.shared.deliveries.pop()
        else { return }
        inHands.append(delivered)
    }

    func finishByHand() {
        guard !inHands.isEmpty else { return }
        inHands.swapAt(chance.below(inHands.count), inHands.count - 1)
        let delivered = inHands.removeLast()
        let phase = delivered.phase
        let shared = context.shared
        workersBusy += 1
        let hasSlot = WorkerScope.run(delivered.event, shared)
        workersBusy -= 1
        if hasSlot { shared.slotsReturned.add(1, ordering: .relaxed) }
        shared.noteReturn(phase)
    }

    /// False: there was none to run.
    @discardableResult
    func runWorker() -> Bool {
        guard hasWorkers else { return false }
        workersBusy += 1
        defer { workersBusy -= 1 }
        return context.runWorker()
    }

    // MARK: Ending events

    private func thawOne() {
        guard !script.requests.isEmpty else { return }
        let which = chance.below(script.requests.count)
        if script.requests[which].due == .max { script.requests[which].due = script.clock }
    }

    /// Cancels an event by its ticket, as often as not a live one.
    func cancelSomething() {
        let live = chance.happens(80)
        let candidates = records.indices.filter {
            records[$0].ticket != nil && records[$0].isPending == live
        }
        guard !candidates.isEmpty else { return }
        let id = candidates[chance.below(candidates.count)]
        guard let ticket = records[id].ticket else { return }
        let wasUnstopped = records[id].isPending && records[id].stopped == nil
        if records[id].isPending {
            hit(.cancel, id)
            if records[id].stopped == nil { records[id].stopped = script.clock }
        }
        records[id].asks += 1
        let asks = records[id].asks
        if isOnLoop {
            let before = place(of: id)
            let submission = records[id].submissions
            let answer = context.cancelOnLoop(ticket)
            if answer == .tooLate, wasUnstopped, records[id].asks == asks {
                // It ends as if nobody had asked, and nobody else has.
                records[id].stopped = nil
                note("told too late")
            }
            noteAnswer(id, submission, answer, before, isDirect: true)
        } else if chance.happens(20) {
            _ = context.shared.send(.cancel(ticket, nil))
        } else {
            let reply = Reply<IOCancellation>()
            if context.shared.send(.cancel(ticket, reply)) {
                replies.append(
                    OpenReply(id: id, submission: records[id].submissions, reply: reply))
            }
        }
    }

    private func cancelAllOnLoop() {
        let descriptor: Int32? = chance.happens(70) ? Int32(3 + chance.below(4)) : nil
        for id in records.indices where isPending(id, on: descriptor) {
            hit(.cancel, id)
            if records[id].stopped == nil { records[id].stopped = script.clock }
        }
        _ = context.cancelAllOnLoop(scope(descriptor))
        // Others may have submitted while the driver cancelled: those are swept too.
        for id in records.indices
        where isPending(id, on: descriptor) && records[id].stopped == nil {
            records[id].stopped = script.clock
        }
        note("cancelled all")
    }

    private func cancelAllByLetter() {
        let descriptor: Int32? = chance.happens(70) ? Int32(3 + chance.below(4)) : nil
        let reply = Reply<Int>()
        if context.shared.send(.cancelAll(scope(descriptor), reply)) {
            sweeps.append(OpenSweep(descriptor: descriptor, reply: reply))
        }
    }

    /// All events of a number have the same owner here, unless it is gone.
    private func scope(_ descriptor: Int32?) -> EventScope {
        guard let descriptor else { return .all }
        guard descriptor >= 5, let object = objects[Int(descriptor) - 5] else {
            return .number(descriptor)
        }
        return .object(object)
    }

    func isPending(_ id: Int, on descriptor: Int32?) -> Bool {
        records[id].isPending && (descriptor == nil || records[id].descriptor == descriptor)
    }

    private func clearLost() {
        for number in Int32(3)...6 {
            if number < 5 {
                unsafe context.side.pointee.loop.clearSyncError(FileDescriptor(rawValue: number))
            } else {
                objects[Int(number) - 5]?.clearSyncError()
            }
            cleared[number] = cycles
        }
        lost.removeAll()
    }

    // MARK: Waiting and looking

    private func drain() {
        guard drains.count < 3 else { return }
        let waited = records.indices.filter { records[$0].returned < .max }
            .filter { records[$0].isPending || isUnsettled($0) }
            .map { (id: $0, submission: records[$0].submissions) }
        let reply = Reply<Bool>()
        if context.shared.send(.drain(fence: context.shared.queue.end, reply)) {
            drains.append(OpenDrain(reply: reply, tick: tick, cycle: cycles, events: waited))
        }
    }

    /// Given up, and its request has not come back.
    func isUnsettled(_ id: Int) -> Bool { records[id].isAbandoned && !records[id].hasSettled }

    private func close() {
        let number = Int32(5 + chance.below(2))
        guard let object = objects[Int(number) - 5] else { return }
        let reply = Reply<Bool>()
        tick += 1
        if context.shared.send(.close(object, fence: context.shared.queue.end, reply)) {
            fences.append(OpenClose(descriptor: number, tick: tick, reply: reply))
            closings[number] = min(closings[number] ?? .max, tick)
        }
    }

    /// As ``IODescriptor/close()`` by the user: nothing is waited for.
    private func closeAtOnce() {
        guard chance.happens(10) else { return }
        let number = Int32(5 + chance.below(2))
        guard (try? objects[Int(number) - 5]?.close()) != nil else { return }
        closings[number] = 0
        note("closed at once")
    }

    private func look() {
        let snapshot = context.snapshot
        if snapshot.inFlight > context.depth { problem("more in flight than slots") }
        if !snapshot.description.contains("unsettled") { problem("a snapshot without words") }
    }

    // MARK: The end

    func shutDown() {
        // A second one may set a deadline.
        guard !isShutDown || (shutdownDeadline == .max && chance.happens(20)) else { return }
        if isShutDown || chance.happens(50) {
            let deadline = script.clock + Int64(chance.below(6000)) - 500
            shutdownDeadline = deadline
            context.shutDown(deadline: deadline)
        } else {
            hitAll(.shutdown)
            context.shutDown()
        }
        isShutDown = true
        note("shut down")
    }

    /// The driver dies.
    func kill() {
        guard !isDriverGone else { return }
        hitAll(.death)
        if chance.happens(50) {
            script.isDead = true
            note("driver died")
        } else {
            script.hasCrashed = true
            note("driver crashed")
        }
    }

    /// Nothing that is submitted does anything any more.
    var isDriverGone: Bool { script.isDead || script.hasCrashed }

    /// Time has passed: what does that mean for what there is?
    func noteTime() {
        for id in records.indices
        where records[id].isPending && records[id].returned < .max
            && records[id].deadline <= script.clock && records[id].stopped == nil
        {
            hit(.deadline, id)
            records[id].stopped = script.clock
        }
        if !passedShutdownDeadline, shutdownDeadline <= script.clock {
            passedShutdownDeadline = true
            hitAll(.shutdownDeadline)
        }
    }

    /// After the last step: what every program does in the end. Stuck requests are thawed when nothing else
    /// helps.
    func end() {
        isEnded = true
        shutDown()
        var rounds = 0
        while problems.isEmpty, !context.hasEnded {
            rounds += 1
            if rounds == 2000 { return problem("the end does not come") }
            if chance.happens(50) { _ = actAtTheEnd() }
            cycle()
        }
    }

    /// False: nobody has anything left to do.
    func actAtTheEnd() -> Bool {
        if !claims.isEmpty {
            fill()
            return true
        }
        if !inHands.isEmpty {
            finishByHand()
            return true
        }
        if hasWorkers, !isWorkerIdle {
            if runWorker() { return true }
            if workersBusy == 0 { problem("an event is lost on its way to a worker") }
            // The callback that the loop has preempted goes on.
            script.queue.waker.wake()
            return true
        }
        // Within its time, a shutdown with a deadline needs no thaw.
        guard script.requests.contains(where: { $0.due == .max }) else { return false }
        if shutdownDeadline < .max, !context.shared.allCalled.load(ordering: .relaxed) {
            return isInCycle ? noteHang() : false
        }
        script.thaw()
        return true
    }

    private func noteHang() -> Bool {
        problem("a shutdown with a deadline waits for what is stuck")
        return false
    }

    var isWorkerIdle: Bool {
        let shared = context.shared
        return unsafe context.side.pointee.handedEven + context.side.pointee.handedOdd
            == shared.returned(0) + shared.returned(1)
    }
}
