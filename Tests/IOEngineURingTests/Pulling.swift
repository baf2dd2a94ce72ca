import IOEngineCore
import IOEngineURing
import SystemPackage
import Testing

/// A loop that is pulled: no callbacks.
typealias PulledLoop = IOLoop<NoCallback, URingDriver>
typealias PulledEvent = IOEvent<NoCallback>

/// What became of an event, to be copied and compared.
struct Outcome: Sendable {
    var bytes: Int?
    var error: IOError?
    var transferred: Int
    var isDone: Bool
    var isSettled: Bool
    /// Valid bytes of the buffer.
    var count: Int
    /// Bytes that the buffer holds.
    var capacity: Int

    var errno: Errno? { error?.errno }
    var reason: IOError.Reason? { error?.reason }
}

extension IOEvent where Callback: ~Copyable {
    var outcome: Outcome {
        var bytes: Int?
        var error: IOError?
        switch result {
        case .success(let moved): bytes = moved
        case .failure(let why): error = why
        }
        return Outcome(
            bytes: bytes, error: error, transferred: transferred, isDone: isDone,
            isSettled: isSettled, count: buffer.count, capacity: buffer.capacity)
    }
}

extension IOLoop where Callback == NoCallback, Driver == URingDriver {
    static func make(
        depth: Int = 8, _ configuration: URingConfiguration = .init()
    ) throws -> PulledLoop {
        try PulledLoop(
            depth: depth, driver: try URingDriver(depth: depth, configuration: configuration))
    }

    /// Submits one event and waits for one: the same, when nothing else is in flight.
    mutating func perform(_ event: consuming PulledEvent) throws -> PulledEvent {
        let isAccepted = submit(event).isAccepted
        try #require(isAccepted, "the loop has room")
        return try waitForOne()
    }

    /// The next finished event.
    mutating func waitForOne() throws -> PulledEvent {
        // Each wait brings a completion; an event has few parts, so a thousand waits are plenty.
        for _ in 0..<1000 {
            if let event = next() { return event }
            let outcome = wait(minimum: 1)
            if case .failed(let errno) = outcome { throw Errno(rawValue: errno) }
        }
        throw Errno.timedOut
    }
}

/// Opens a file that is new and empty.
func openNew(
    _ path: String, direct: Bool = false, options: FileDescriptor.OpenOptions = []
) throws -> IODescriptor {
    try IODescriptor.open(
        FilePath(path), .readWrite, options: options.union([.create, .truncate]), direct: direct)
}

/// Bytes that depend on their place.
func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
    (start..<start + count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}

extension IOEvent where Callback: ~Copyable {
    /// The buffer alone; the rest of the event ends.
    consuming func takeBuffer() -> IOBuffer {
        var buffer = IOBuffer()
        swap(&buffer, &self.buffer)
        return buffer
    }
}
