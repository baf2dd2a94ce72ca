import BasicContainers
import DequeModule
import Synchronization

@testable import IOEngineCore

/// How often something that ends events met one in each state.
struct Hits {
    enum Cause: Int, CaseIterable {
        case cancel, deadline, shutdown, shutdownDeadline, abandonment, death
    }

    enum Place: Int, CaseIterable {
        case queued, parked, held, waiting, staged, kernel, workers
    }

    private(set) var counts = [Int](
        repeating: 0, count: Cause.allCases.count * Place.allCases.count)
    var others: [String: Int] = [:]

    subscript(_ cause: Cause, _ place: Place) -> Int {
        get { counts[cause.rawValue * Place.allCases.count + place.rawValue] }
        set { counts[cause.rawValue * Place.allCases.count + place.rawValue] = newValue }
    }

    mutating func add(_ hits: Hits) {
        for i in counts.indices { counts[i] += hits.counts[i] }
        for (name, count) in hits.others { others[name, default: 0] += count }
    }

    /// Cells that were never hit.
    var missed: [String] {
        Cause.allCases.flatMap { cause in
            Place.allCases.filter { self[cause, $0] == 0 }.map { "\(cause) of \($0)" }
        }
    }

    var table: String {
        func pad(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        var lines = [
            pad("", 18) + Place.allCases.map { pad("\($0)", 11) }.joined()
        ]
        for cause in Cause.allCases {
            lines.append(
                pad("\(cause)", 18)
                    + Place.allCases.map { pad("\(self[cause, $0])", 11) }.joined())
        }
        return lines.joined(separator: "\n")
    }
}

extension ContextSchedule {
    func note(_ name: String) { hits.others[name, default: 0] += 1 }

    /// Whether the loop's own tables may be looked at: nothing of the loop is in the middle of a change.
    var mayLook: Bool { !isInCycle || (isOnLoop && isSubmitting == 0) }

    func hit(_ cause: Hits.Cause, _ id: Int) {
        if let place = place(of: id) { hits[cause, place] += 1 }
    }

    /// Something happens to everything there is.
    func hitAll(_ cause: Hits.Cause) {
        for id in 0..<records.count where records[id].isPending { hit(cause, id) }
    }

    /// Where an event is; nil: on its way from one place to the next, or it cannot be told now.
    func place(of id: Int) -> Hits.Place? {
        let record = records[id]
        guard record.isPending, record.returned < .max else { return nil }
        if record.isAtDriver {
            guard let pending = script.pending(UInt16(id)) else { return nil }
            return pending.isStaged ? .staged : .kernel
        }
        for i in 0..<inHands.count where inHands[i].event.priority.rawValue == UInt16(id) {
            return .workers
        }
        guard mayLook, !context.hasEnded, let ticket = record.ticket else { return nil }
        if let position = ticket.queuePosition,
            let element = unsafe context.shared.queue.element(at: position)
        {
            return unsafe element.pointee.event.priority.rawValue == UInt16(id) ? .queued : nil
        }
        if isParked(id) { return .parked }
        switch state(of: id) {
        case .held: return .held
        case .waiting: return .waiting
        case .inFlight, .finished, .abandoned, .vacant: return nil
        case nil: return hasWorkers && !isRefused(id) ? .workers : nil
        }
    }

    /// Whether an event has been accepted and has no slot yet.
    func isInBacklog(_ id: Int) -> Bool {
        if let position = records[id].ticket?.queuePosition,
            let element = unsafe context.shared.queue.element(at: position),
            unsafe element.pointee.event.priority.rawValue == UInt16(id)
        {
            return true
        }
        return isParked(id)
    }

    private func isParked(_ id: Int) -> Bool {
        let side = unsafe context.side
        for i in 0..<(unsafe side.pointee.parked.count)
        where unsafe side.pointee.parked[i].queued.event.priority.rawValue == UInt16(id) {
            return true
        }
        return context.shared.returns.withLock { returns in
            for i in 0..<returns.count
            where returns[i].queued.event.priority.rawValue == UInt16(id) {
                return true
            }
            return false
        }
    }

    func isRefused(_ id: Int) -> Bool {
        let side = unsafe context.side
        for i in 0..<(unsafe side.pointee.refused.count)
        where unsafe side.pointee.refused[i].priority.rawValue == UInt16(id) { return true }
        return false
    }

    /// The state of an event's slot; nil: it has none.
    func state(of id: Int) -> EventStateMachine.State? {
        slot(of: id).map { number in
            unsafe context.side.pointee.core.pointee.slots.slot(number).pointee.machine.state
        }
    }

    func slot(of id: Int) -> UInt32? {
        let core = unsafe context.side.pointee.core
        for number in 0..<UInt32(context.depth) {
            if unsafe core.pointee.slots.slot(number).pointee.machine.state != .vacant,
                unsafe core.pointee.slots.event(number).pointee.priority.rawValue == UInt16(id)
            {
                return number
            }
        }
        return nil
    }
}
