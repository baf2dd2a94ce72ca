import BasicContainers
import IOEngineCore
import SystemPackage
import TestSupport

/// Which step an event is.
struct StepNumber: IOCallback {
    let value: Int
    consuming func call(
        _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
    ) {}
}

/// A pattern, made once: making it anew for each write would take most of the tests' time.
private let block = pattern(4 << 20)

/// What step `number` writes.
func stepBytes(_ number: Int, _ count: Int) -> [UInt8] {
    let start = number * 1009 % (1 << 20)
    return Array(block[start..<start + count])
}

/// What steps on one driver left behind: what must be the same for every driver.
struct Transcript: Equatable {
    var lines: [String] = []
    var content: [UInt8] = []
    var size: Int64 = 0
    var bytesInPipe = 0
}

/// Performs steps on one driver.
struct Performer<Driver: IODriver & ~Copyable>: ~Copyable {
    typealias Event = IOEvent<StepNumber>

    var loop: IOLoop<StepNumber, Driver>
    let targets: Targets
    var count = 0
    /// Numbers of steps in the order in which their events came back.
    var order: [Int] = []

    init(_ driver: consuming Driver, depth: Int, _ targets: Targets) throws {
        loop = try IOLoop(depth: depth, driver: driver)
        self.targets = targets
    }

    /// Performs each group with all of its steps in flight together, one group after the other.
    mutating func perform(_ groups: [[Step]]) throws -> [String] {
        var lines: [String] = []
        for group in groups {
            let first = count
            for step in group {
                guard loop.submit(makeEvent(step, number: count)).isAccepted else {
                    throw Errno.noBufferSpace
                }
                count += 1
            }
            var answers: [Int: String] = [:]
            while answers.count < group.count {
                if case .failed(let errno) = loop.wait(minimum: 1) { throw Errno(rawValue: errno) }
                while let event = loop.next() {
                    let number = event.callback?.value ?? -1
                    order.append(number)
                    answers[number] = describe(event)
                }
            }
            for (index, step) in group.enumerated() {
                lines.append("\(step): \(answers[first + index] ?? "lost")")
            }
        }
        return lines
    }

    private func makeEvent(_ step: Step, number: Int) -> Event {
        var event =
            if let file = targets.file(step.target) {
                makeEvent(step, number, file)
            } else {
                makeEvent(step, number, targets.number(step.target))
            }
        event.flags = step.flags
        event.priority = step.priority
        if step.handsOver { event.shortTransfers = .handsOver }
        event.callback = StepNumber(value: number)
        return event
    }

    private func makeEvent(_ step: Step, _ number: Int, _ file: IODescriptor) -> Event {
        let range = step.start..<step.start + step.length
        switch step.action {
        case .read:
            return step.start == 0
                ? .read(file, into: empty(step.length), at: step.offset)
                : .read(file, into: filled(range.upperBound), at: step.offset, range: range)
        case .write:
            let buffer = contents(number, range.upperBound)
            return step.start == 0
                ? .write(file, from: buffer, at: step.offset)
                : .write(file, from: buffer, at: step.offset, range: range)
        case .readVectored: return .read(file, into: buffers(step), at: step.offset)
        case .writeVectored: return .write(file, from: buffers(step, number), at: step.offset)
        case .syncData: return .sync(file, .data)
        case .syncFull: return .sync(file, .full)
        case .allocate:
            return .allocate(file, step.mode, at: step.offset, length: step.length)
        case .noOperation: return .noOperation()
        }
    }

    private func makeEvent(_ step: Step, _ number: Int, _ file: FileDescriptor) -> Event {
        switch step.action {
        case .read: return .read(file, into: empty(step.length), at: step.offset)
        case .write: return .write(file, from: contents(number, step.length), at: step.offset)
        case .readVectored: return .read(file, into: buffers(step), at: step.offset)
        case .writeVectored: return .write(file, from: buffers(step, number), at: step.offset)
        case .syncData: return .sync(file, .data)
        case .syncFull: return .sync(file, .full)
        case .allocate:
            return .allocate(file, step.mode, at: step.offset, length: step.length)
        case .noOperation: return .noOperation()
        }
    }

    private func empty(_ count: Int) -> IOBuffer { IOBuffer(capacity: count) }

    private func filled(_ count: Int) -> IOBuffer {
        var buffer = IOBuffer(capacity: count)
        buffer.fill(with: 0xee)
        return buffer
    }

    /// Bytes that tell the step and the place.
    private func contents(_ number: Int, _ count: Int) -> IOBuffer {
        IOBuffer(copying: stepBytes(number, count))
    }

    private func buffers(_ step: Step, _ number: Int? = nil) -> UniqueArray<IOBuffer> {
        var buffers = UniqueArray<IOBuffer>()
        for part in step.parts {
            buffers.append(number.map { contents($0, part) } ?? empty(part))
        }
        return buffers
    }

    /// The outcome in words, with a digest of what was read.
    private func describe(_ event: borrowing Event) -> String {
        let outcome = event.outcome
        var text: String
        if let error = outcome.error {
            text = "errno \(error.errno.rawValue), \(error.reason), alignment \(error.alignment)"
        } else {
            text = "\(outcome.bytes ?? -1) bytes"
        }
        text += ", transferred \(outcome.transferred), done \(outcome.isDone)"
        text += ", settled \(outcome.isSettled), valid \(outcome.count)"
        if event.action == .read { text += ", digest \(digest(event.buffer))" }
        return text
    }

    /// Of the valid bytes; means something within this process only.
    private func digest(_ buffer: borrowing IOBuffer) -> Int {
        var hasher = Hasher()
        unsafe buffer.bytes.withUnsafeBytes { bytes in unsafe hasher.combine(bytes: bytes) }
        return hasher.finalize()
    }
}
