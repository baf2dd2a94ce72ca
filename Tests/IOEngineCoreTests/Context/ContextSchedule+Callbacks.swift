import BasicContainers
import SystemPackage

@testable import IOEngineCore

/// What callbacks do.
extension ContextSchedule {
    /// An event has come back, and may go on where it lies.
    func resubmits(_ id: Int, _ event: inout IOEvent<Call>) -> Bool {
        if hasWorkers || isShutDown || !event.isSettled {
            problem("event \(id): not to be asked for")
        }
        submittedInPlace = nil
        guard chance.happens(50) else { return false }
        let wasOnLoop = isOnLoop
        isOnLoop = true
        defer { isOnLoop = wasOnLoop }
        if isSubmitting > 0 { problem("event \(id): looked at from inside a submission") }
        check(id, &event)
        guard problems.isEmpty else { return false }
        if chance.happens(10) { interfere() }
        guard records[id].submissions < 5, chance.happens(shape.resubmits) else {
            lookedAt = id
            return false
        }
        restart(&event)
        let before = begin(id, .none, progress: event.transferred)
        records[id].chain = (nil, nil)
        records[id].isInPlace = true
        takenInPlace.append(id)
        submittedInPlace = (id, cycles, before)
        note("submitted again in place")
        return true
    }

    /// What was to go on where it lay, was taken by now.
    func noteTaken() {
        tick += 1
        for id in takenInPlace where records[id].isPending && records[id].ticket == nil {
            records[id].returned = tick
        }
        takenInPlace.removeAll(keepingCapacity: true)
    }

    /// It was to go on where it lay, and nothing takes it any more.
    private func isRefused(_ id: Int, _ event: borrowing IOEvent<Call>) -> Bool {
        // What was taken and finishes is looked at first, unless the context shuts down.
        guard let last = submittedInPlace, last.id == id, last.cycle == cycles,
            records[id].requests == 0, event.errno == .canceled
        else { return false }
        if !isShutDown && !isDriverGone { problem("refused too soon, in place") }
        note("refused in place")
        giveBack(id, last.before)
        return true
    }

    /// An event has come back.
    func called(
        _ id: Int, _ event: consuming IOEvent<Call>, _ submitter: borrowing IOSubmitter<Call>
    ) {
        let wasOnLoop = isOnLoop
        isOnLoop = !hasWorkers
        defer { isOnLoop = wasOnLoop }
        if isOnLoop, isSubmitting > 0 { problem("event \(id): called from inside a submission") }
        if hasWorkers, workersBusy == 0 { problem("event \(id): called on the loop's thread") }
        if isRefused(id, event) { return }
        if lookedAt != id { check(id, &event) }
        lookedAt = nil
        guard problems.isEmpty else { return }
        var isFirst = true
        if chance.happens(10) { interfere() }
        if event.isSettled, records[id].submissions < 5, chance.happens(shape.resubmits) {
            submitAgain(id, event, submitter, isFirst: isFirst)
            isFirst = false
        }
        while events > 0, chance.happens(20) {
            let new = newRecord()
            let limits = newLimits()
            let before = begin(new, limits)
            submit(new, makeEvent(new), limits, before, submitter, isFirst: isFirst)
            isFirst = false
        }
        if chance.happens(5) { interfere() }
    }

    private func submitAgain(
        _ id: Int, _ event: consuming IOEvent<Call>, _ submitter: borrowing IOSubmitter<Call>,
        isFirst: Bool
    ) {
        var event = event
        restart(&event)
        event.callback = Call(schedule: self, id: id)
        let limits = newLimits()
        let before = begin(id, limits, progress: event.transferred)
        // Whatever chain it was in has gone past it.
        records[id].chain = (nil, nil)
        submit(id, event, limits, before, submitter, isFirst: isFirst)
    }

    private func restart(_ event: inout IOEvent<Call>) {
        if event.isDone || chance.happens(30) {
            event.restart()
            note("restarted")
        } else {
            note("continued by the user")
        }
    }

    private func submit(
        _ id: Int, _ event: consuming IOEvent<Call>, _ limits: IOLimits, _ before: Record,
        _ submitter: borrowing IOSubmitter<Call>, isFirst: Bool
    ) {
        isSubmitting += 1
        let outcome = submitter.submit(event, limits)
        isSubmitting -= 1
        switch outcome {
        case .accepted(let ticket):
            records[id].isReturned = hasWorkers && ticket.queuePosition == nil
            accept(id, ticket)
            note("from a callback")
        case .full:
            if isFirst { problem("no room for the first submission of a callback") }
            note("full in a callback")
            giveBack(id, before)
        case .closed:
            if !isShutDown && !isDriverGone { problem("closed too soon, in a callback") }
            note("closed in a callback")
            giveBack(id, before)
        }
    }

    /// A callback uses the context as others do; one on a worker may be preempted by the loop.
    private func interfere() {
        switch chance.below(8) {
        case 0...3: cancelSomething()
        case 4: if isOnLoop { _ = context.snapshot }
        case 5: if chance.happens(10) { shutDown() }
        case 6: if chance.happens(20) { kill() }
        default:
            if !isInCycle, hasWorkers, steps > 0 {
                note("a callback preempted by the loop")
                cycle()
            }
        }
    }
}
