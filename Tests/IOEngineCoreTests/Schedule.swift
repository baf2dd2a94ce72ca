import BasicContainers
import IOEngineCore
import IOEngineMock
import Synchronization
import SystemPackage

/// One random run of a loop over a scripted driver, checked against the rules of short transfers,
/// retries, splitting and hand-over as they are written down, not as the loop implements them.
///
/// Every event has a region of the file to itself, so the journal's offsets tell whose request it was.
final class Schedule {
    static let region = 512
    /// Buffers that live.
    let liveBuffers = Count()

    let seed: UInt64
    let script: Script
    var chance: Chance
    var records: [Record] = []
    /// Checked where it lay, and now on its way to its callback.
    var lookedAt: Int?
    var problems: [String] = []
    /// Outcomes hit, by name.
    var hits: [String: Int] = [:]
    /// Whether events are called back; else they are pulled.
    let callsBack: Bool
    let wrapsGeneration: Bool

    final class Count: Sendable {
        let value = Atomic<Int>(0)
    }

    /// What the test knows of one event.
    struct Record {
        var action: IOAction
        var offset: Int
        var length: Int
        var flags: IOFlags
        var handsOver: Bool
        var buffers = 1
        var calls = 0
        var submissions = 0
        /// Bytes it will write.
        var pattern: UInt8
        /// Where the journal stood when it was last submitted, and the progress then.
        var journalStart = 0
        var progress = 0
    }

    init(seed: UInt64) {
        self.seed = seed
        var chance = Chance(seed: seed)
        let depth = 1 + chance.below(8)
        let events = 20 + chance.below(12)
        let script = Script(
            seed: chance.next(), depth: depth, fileSize: events * Schedule.region,
            regionSize: Schedule.region)
        self.script = script
        // The file may end inside or before some regions.
        script.size -= chance.below(3 * Schedule.region)
        script.spuriouslyFull = [0, 0, 10, 60][chance.below(4)]
        script.stale = [0, 5, 40][chance.below(3)]
        script.late = [0, 30, 80][chance.below(3)]
        script.wakesSpuriously = chance.happens(30)
        script.maximumVectors = [0, 1, 2, 16][chance.below(4)]
        script.alignment = [1, 64, 256][chance.below(3)]
        let faults = [0, 20, 70][chance.below(3)]
        let strict = chance.happens(50)
        // A storm: interruptions without end.
        let storm: Errno? =
            chance.happens(3)
            ? (chance.happens(50) ? .interrupted : .resourceTemporarilyUnavailable) : nil
        callsBack = chance.happens(50)
        wrapsGeneration = chance.happens(30)
        self.chance = chance
        script.decide = { [unowned script] chance, request in
            if strict, request.action.isTransfer, request.offset % Int64(script.alignment) != 0 {
                return .errno(.invalidArgument)
            }
            if let storm, chance.happens(98) { return .errno(storm) }
            guard chance.happens(faults) else { return .whole }
            switch chance.below(9) {
            case 0, 1, 2: return .short(1 + chance.below(max(1, request.length)))
            case 3: return .short(0)
            case 4: return .errno(.interrupted)
            case 5: return .errno(.resourceTemporarilyUnavailable)
            case 6: return .errno(.invalidArgument)
            case 7: return .errno(.ioError)
            default: return chance.happens(20) ? .excess : .errno(.canceled)
            }
        }
    }

    func note(_ hit: String) { hits[hit, default: 0] += 1 }

    func problem(_ text: String) {
        if problems.count < 5 { problems.append(text) }
    }

    // MARK: Making events

    func makeEvent<C: IOCallback>(
        _ index: Int, callback: C?
    ) -> IOEvent<C> {
        let offset = index * Schedule.region
        let descriptor = FileDescriptor(rawValue: 3)
        let action = IOAction.allCases[chance.below(IOAction.allCases.count)]
        let pattern = UInt8(truncatingIfNeeded: index &* 37 &+ 11)
        var record = Record(
            action: action, offset: offset, length: 0, flags: [], handsOver: chance.happens(25),
            pattern: pattern)
        var event: IOEvent<C>
        switch action {
        case .read:
            record.length = 1 + chance.below(Schedule.region)
            event = .read(
                descriptor, into: buffer(record.length, filled: nil), at: Int64(offset),
                callback: callback)
        case .write:
            record.length = 1 + chance.below(Schedule.region)
            event = .write(
                descriptor, from: buffer(record.length, filled: pattern), at: Int64(offset),
                callback: callback)
        case .readVectored, .writeVectored:
            let reads = action == .readVectored
            var buffers = UniqueArray<IOBuffer>(minimumCapacity: 4)
            record.buffers = 1 + chance.below(4)
            for _ in 0..<record.buffers {
                let count = 1 + chance.below(Schedule.region / 4)
                record.length += count
                buffers.append(buffer(count, filled: reads ? nil : pattern))
            }
            event =
                reads
                ? .read(descriptor, into: buffers, at: Int64(offset), callback: callback)
                : .write(descriptor, from: buffers, at: Int64(offset), callback: callback)
        case .syncData: event = .sync(descriptor, .data, callback: callback)
        case .syncFull: event = .sync(descriptor, .full, callback: callback)
        case .allocate:
            record.length = 1 + chance.below(Schedule.region)
            event = .allocate(
                descriptor, .keepSize, at: Int64(offset), length: record.length, callback: callback)
        case .noOperation: event = .noOperation(callback: callback)
        }
        if action.isTransfer {
            if chance.happens(15) { record.flags.insert(.noWait) }
            if action.isWrite, chance.happens(15) {
                record.flags.insert(chance.happens(50) ? .atomic : .append)
            }
            event.flags = record.flags
            event.shortTransfers = record.handsOver ? .handsOver : .continues
        }
        records.append(record)
        return event
    }

    private func buffer(_ count: Int, filled: UInt8?) -> IOBuffer {
        let liveBuffers = self.liveBuffers
        liveBuffers.value.add(1, ordering: .relaxed)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        if let filled {
            unsafe memory.initializeMemory(as: UInt8.self, repeating: filled)
        }
        return unsafe IOBuffer(adopting: memory, count: filled == nil ? 0 : count) { memory in
            unsafe memory.deallocate()
            liveBuffers.value.subtract(1, ordering: .relaxed)
        }
    }

    // MARK: Checking

    /// Everything the driver did for an event since it was last submitted.
    private func journal(of record: Record) -> [Script.Entry] {
        script.journal[record.offset / Schedule.region][record.journalStart...].filter {
            $0.request.action.isTransfer
        }
    }

    /// Checks a finished event against the journal and the file.
    func check<C: IOCallback>(_ index: Int, _ event: inout IOEvent<C>) {
        records[index].calls += 1
        let record = records[index]
        guard record.calls == record.submissions else {
            return problem(
                "event \(index) came back \(record.calls) times for \(record.submissions)")
        }
        guard record.action.isTransfer else {
            note(event.errno == nil ? "plain success" : "plain failure")
            if !event.isDone { problem("event \(index) is not done") }
            return
        }
        let isSingle = !record.flags.isDisjoint(with: [.atomic, .append])
        if isSingle, record.buffers > max(1, script.maximumVectors) {
            if event.errno != .invalidArgument { problem("event \(index) must not be split") }
            return note("must not be split")
        }
        let expected = expectation(of: index)
        if event.transferred != expected.progress || event.errno != expected.errno
            || event.isDone != expected.isDone
        {
            problem(
                "event \(index) \(record.action): moved \(event.transferred) \(event.errno as Any) "
                    + "done \(event.isDone), expected \(expected)")
        }
        note(
            expected.errno.map { "errno \($0.rawValue)" }
                ?? (expected.isDone ? "success" : "handed over short"))
        checkBytes(index, &event)
        records[index].progress = expected.progress
    }

    struct Expectation {
        var progress: Int
        var errno: Errno?
        var isDone: Bool
    }

    /// The outcome that the rules give for what the driver answered.
    private func expectation(of index: Int) -> Expectation {
        let record = records[index]
        var progress = record.progress
        var retries = 0
        var rewinds = 0
        for (number, entry) in journal(of: record).enumerated() {
            if Int(entry.request.offset) != record.offset + progress {
                problem("event \(index): request \(number) at the wrong place")
            }
            let result = entry.result
            if result >= 0 {
                if result > entry.request.length {
                    note("excess")
                    return Expectation(progress: progress, errno: .ioError, isDone: true)
                }
                if result == 0 {
                    note(record.action.isWrite ? "zero write" : "end of file")
                    return Expectation(
                        progress: progress, errno: record.action.isWrite ? .ioError : nil,
                        isDone: true)
                }
                progress += result
                retries = 0
                if progress == record.length {
                    return Expectation(progress: progress, errno: nil, isDone: true)
                }
                let isSingle = !record.flags.isDisjoint(with: [.atomic, .append])
                if result < entry.request.length, record.handsOver || isSingle {
                    return Expectation(progress: progress, errno: nil, isDone: false)
                }
                note("continued")
                continue
            }
            let errno = Errno(rawValue: Int32(-result))
            switch errno {
            case .interrupted where retries < 32,
                .resourceTemporarilyUnavailable
            where retries < 32 && !record.flags.contains(.noWait):
                retries += 1
                note("retried")
            case .invalidArgument
            where progress > 0 && rewinds < 8
                && record.flags.isDisjoint(with: [.atomic, .append]):
                let position = record.offset + progress
                if !record.action.isWrite, position >= script.size {
                    note("refused at the end")
                    return Expectation(progress: progress, errno: nil, isDone: true)
                }
                let back = position % script.alignment
                if back == 0 || back > progress {
                    return Expectation(progress: progress, errno: errno, isDone: true)
                }
                rewinds += 1
                progress -= back
                note("rewound")
            default:
                return Expectation(progress: progress, errno: errno, isDone: true)
            }
        }
        problem("event \(index) came back before the driver had answered")
        return Expectation(progress: progress, errno: nil, isDone: false)
    }

    /// The buffer came back, and memory and file agree on every byte that was moved.
    private func checkBytes<C: IOCallback>(_ index: Int, _ event: inout IOEvent<C>) {
        let record = records[index]
        let moved = event.transferred
        let place = record.offset..<record.offset + moved
        let wanted = script.device.contents(of: script.file, place)
        var done = 0
        func compare(_ buffer: borrowing IOBuffer, _ count: Int) {
            for i in 0..<count where buffer[i] != wanted[done + i] {
                return problem("event \(index): wrong byte at \(record.offset + done + i)")
            }
            done += count
        }
        if record.action.isVectored {
            var left = moved
            let total = event.withBuffers { buffers in
                var total = 0
                for i in 0..<buffers.count {
                    let here = min(left, buffers[i].capacity)
                    if record.action.isRead, buffers[i].count != here {
                        problem("event \(index): buffer \(i) has \(buffers[i].count) valid bytes")
                    }
                    compare(buffers[i], here)
                    left -= here
                    total += buffers[i].capacity
                }
                return total
            }
            if total != record.length { problem("event \(index): buffers lost") }
        } else {
            if event.buffer.capacity != record.length { problem("event \(index): buffer lost") }
            if record.action.isRead, event.buffer.count != moved {
                problem("event \(index): \(event.buffer.count) valid bytes of \(moved)")
            }
            compare(event.buffer, moved)
        }
    }

    /// Whether a finished event is submitted again; the test then knows of one more submission.
    func submitsAgain<C: IOCallback>(_ index: Int, _ event: inout IOEvent<C>) -> Bool {
        guard records[index].submissions < 4, chance.happens(40) else { return false }
        if event.isDone {
            event.restart()
            records[index].progress = 0
            note("restarted")
        } else {
            note("continued by the user")
        }
        noteSubmission(index)
        return true
    }

    func noteSubmission(_ index: Int) {
        records[index].submissions += 1
        records[index].journalStart = script.journal[index].count
    }

    func finish() {
        problems += script.violations
        for (index, record) in records.enumerated() where record.calls != record.submissions {
            problem("event \(index): \(record.submissions) submissions, \(record.calls) calls")
        }
    }
}
