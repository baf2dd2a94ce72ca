import IOEngineCore

/// Which descriptor a step goes to. All files are the same file.
enum Target: String, CaseIterable {
    case buffered, direct, appending, appendingDirect, readOnly, writeOnly
    /// A folder, both ends of a pipe that is not empty, and a socket.
    case folder, pipeOut, pipeIn, socket
    /// A number that is not open, one below 0, and an object that was closed.
    case missing, negative, closed
    /// What has no positions, though `lseek(2)` says 0 for most of it.
    case eventCounter, timer, watch, signals, poll, process, terminal
    /// Opened with O_PATH.
    case nameOfFile, nameOfFolder
    /// What is read and written like a file.
    case zeros, nothing, memory, nameless, procFile, sysFile

    static let files: [Target] = [.buffered, .direct]
    static let wrong: [Target] = [
        .readOnly, .writeOnly, .folder, .pipeOut, .pipeIn, .socket, .missing, .negative, .closed,
    ]
    static let withoutPositions: [Target] = [
        .eventCounter, .timer, .watch, .signals, .poll, .process, .terminal,
    ]
}

/// One operation, as it is asked of every driver.
struct Step: CustomStringConvertible {
    var action: IOAction
    var target: Target
    var offset: Int64 = 0
    /// Bytes; of a vectored action those of all buffers together.
    var length = 4096
    /// Lengths of the buffers of a vectored action.
    var parts: [Int] = []
    /// Where in its buffer a transfer begins.
    var start = 0
    var flags: IOFlags = []
    var priority = IOPriority.inherited
    var mode = IOAllocationMode.extend
    var handsOver = false

    static func read(_ target: Target, _ offset: Int64 = 0, _ length: Int = 4096) -> Step {
        Step(action: .read, target: target, offset: offset, length: length)
    }

    static func write(_ target: Target, _ offset: Int64 = 0, _ length: Int = 4096) -> Step {
        Step(action: .write, target: target, offset: offset, length: length)
    }

    static func vectored(
        _ action: IOAction, _ target: Target, _ offset: Int64, _ parts: [Int]
    ) -> Step {
        Step(
            action: action, target: target, offset: offset, length: parts.reduce(0, +),
            parts: parts)
    }

    static func sync(_ target: Target, full: Bool = true) -> Step {
        Step(action: full ? .syncFull : .syncData, target: target, length: 0)
    }

    static func allocate(
        _ target: Target, _ mode: IOAllocationMode, _ offset: Int64, _ length: Int
    ) -> Step {
        Step(action: .allocate, target: target, offset: offset, length: length, mode: mode)
    }

    func with(
        flags: IOFlags = [], priority: IOPriority = .inherited, start: Int = 0,
        handsOver: Bool = false
    ) -> Step {
        var step = self
        step.flags = flags
        step.priority = priority
        step.start = start
        step.handsOver = handsOver
        return step
    }

    var description: String {
        var text = "\(action) \(target) at \(offset) of \(length)"
        if !parts.isEmpty { text += " in \(parts)" }
        if start != 0 { text += " from \(start)" }
        if !flags.isEmpty { text += " flags \(flags.rawValue)" }
        if priority != .inherited { text += " priority \(priority.rawValue)" }
        if action == .allocate { text += " mode \(mode.rawValue)" }
        if handsOver { text += " handing over" }
        return text
    }
}
