import BasicContainers
import SystemPackage

@testable import IOEngineCore

/// The callback of every event: who it is.
struct Call: IOCallback {
    // Unchecked by hand: the schedule stays on one thread.
    nonisolated(unsafe) let schedule: ContextSchedule
    let id: Int

    static func resubmits(_ event: inout IOEvent<Call>) -> Bool {
        guard let call = event.callback else { return false }
        return unsafe call.schedule.resubmits(call.id, &event)
    }

    consuming func call(
        _ event: consuming IOEvent<Call>, _ submitter: borrowing IOSubmitter<Call>
    ) {
        unsafe schedule.called(id, event, submitter)
    }
}

extension ContextSchedule {
    static let region = 64

    /// Decides on an event that has never been.
    func newRecord() -> Int {
        let id = records.count
        events -= 1
        let action = newAction()
        let number = Int32(3 + chance.below(4))
        let isBad = action.isTransfer && chance.happens(3)
        let hasPlace = action.isTransfer || action == .allocate
        var record = Record(
            action: action, descriptor: action == .noOperation ? -1 : number,
            hasObject: number >= 5 && action != .noOperation,
            offset: isBad ? -1 : hasPlace ? Int64(id * Self.region) : 0,
            length: hasPlace ? 1 + chance.below(60) : 0)
        if isBad { record.refusal = .invalidArgument }
        if action.isTransfer {
            record.handsOver = chance.happens(15)
            if chance.happens(10) { record.flags.insert(.noWait) }
            if action == .write, chance.happens(20) { record.flags.insert(.append) }
        }
        records.append(record)
        return id
    }

    private func newAction() -> IOAction {
        if chance.happens(shape.syncs) { return chance.happens(50) ? .syncData : .syncFull }
        if chance.happens(shape.writes) {
            return [.write, .write, .write, .writeVectored, .allocate][chance.below(5)]
        }
        return [.read, .read, .readVectored, .noOperation][chance.below(4)]
    }

    /// The event as it is submitted for the first time.
    func makeEvent(_ id: Int) -> IOEvent<Call> {
        let record = records[id]
        let callback = Call(schedule: self, id: id)
        let plain = FileDescriptor(rawValue: record.descriptor)
        let object = record.hasObject ? objects[Int(record.descriptor) - 5] : nil
        let isRead = record.action.isRead
        var event: IOEvent<Call>
        switch record.action {
        case .read, .write:
            event = IOEvent(
                record.action, descriptor: record.descriptor, object: object,
                buffer: buffer(id, record.offset, record.length, filled: !isRead),
                offset: record.offset, range: nil, callback: callback)
        case .readVectored, .writeVectored:
            event = IOEvent(
                record.action, descriptor: record.descriptor, object: object, buffer: IOBuffer(),
                vectored: IOVectorStorage(buffers(id)), offset: record.offset, length: 0,
                movesWholeBuffer: true, callback: callback)
        case .syncData, .syncFull:
            event =
                object.map { .sync($0, record.action == .syncData ? .data : .full) }
                ?? .sync(plain, record.action == .syncData ? .data : .full)
            event.callback = callback
        case .allocate:
            event =
                object.map { .allocate($0, at: record.offset, length: record.length) }
                ?? .allocate(plain, at: record.offset, length: record.length)
            event.callback = callback
        case .noOperation: event = .noOperation(callback: callback)
        }
        event.flags = record.flags
        event.shortTransfers = record.handsOver ? .handsOver : .continues
        event.priority = IOPriority(rawValue: UInt16(id))
        return event
    }

    private func buffers(_ id: Int) -> UniqueArray<IOBuffer> {
        let record = records[id]
        var buffers = UniqueArray<IOBuffer>()
        var left = record.length
        var offset = record.offset
        while left > 0 {
            let here = min(left, 1 + chance.below(40))
            buffers.append(buffer(id, offset, here, filled: record.action.isWrite))
            left -= here
            offset += Int64(here)
        }
        return buffers
    }

    private func buffer(_ id: Int, _ offset: Int64, _ count: Int, filled: Bool) -> IOBuffer {
        liveBuffers[id, default: 0] += 1
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        if filled {
            for i in 0..<count {
                unsafe memory[i] = TimedScript.content(at: Int(truncatingIfNeeded: offset) + i)
            }
        }
        nonisolated(unsafe) let schedule = self
        return unsafe IOBuffer(adopting: memory, count: filled ? count : 0) { memory in
            unsafe memory.deallocate()
            unsafe schedule.freed(id)
        }
    }

    /// Memory of an event was freed.
    func freed(_ id: Int) {
        let left = liveBuffers[id, default: 0] - 1
        liveBuffers[id] = left == 0 ? nil : left
        if records[id].isAtDriver { problem("event \(id): memory freed under its request") }
    }

    /// Limits as often as the schedule's shape says.
    func newLimits() -> IOLimits {
        guard chance.happens(shape.limits) else { return .none }
        let deadline =
            chance.happens(70)
            ? IOInstant(nanoseconds: script.clock + Int64(chance.below(5000)) - 500) : nil
        let patience: Duration? =
            chance.happens(60) ? .nanoseconds(chance.below(3000)) : nil
        return IOLimits(deadline: deadline, abandonAfter: patience)
    }

    // MARK: Submissions

    /// The test begins to submit an event. Returns what was known before, in case it is not taken.
    func begin(_ id: Int, _ limits: IOLimits, progress: Int = 0) -> Record {
        let before = records[id]
        tick += 1
        records[id].submissions += 1
        records[id].limits = limits
        records[id].began = tick
        records[id].returned = .max
        records[id].isReturned = false
        records[id].beganBehindClaims = !claims.isEmpty
        records[id].isInPlace = false
        records[id].ticket = nil
        records[id].progress = progress
        records[id].requests = 0
        records[id].answers.removeAll(keepingCapacity: true)
        records[id].stopped = nil
        records[id].neverBegins = false
        return before
    }

    /// The submission returned: the context has the event.
    func accept(_ id: Int, _ ticket: IOTicket) {
        tick += 1
        records[id].returned = tick
        records[id].ticket = ticket
        if tickets.updateValue(id, forKey: ticket) != nil {
            problem("event \(id): a ticket that another has had")
        }
    }

    /// It returned without having taken the event.
    func giveBack(_ id: Int, _ before: Record) {
        if records[id].requests > 0 { problem("event \(id): given back, and begun") }
        records[id] = before
    }
}
