public import IOEngineCore
public import SystemPackage

/// An event of a loop that is pulled: no callbacks.
public typealias PulledEvent = IOEvent<NoCallback>

/// What became of an event, to be copied and compared.
public struct Outcome: Sendable {
    public var bytes: Int?
    public var error: IOError?
    public var transferred: Int
    public var isDone: Bool
    public var isSettled: Bool
    /// Valid bytes of the buffer.
    public var count: Int
    /// Bytes that the buffer holds.
    public var capacity: Int

    public var errno: Errno? { error?.errno }
    public var reason: IOError.Reason? { error?.reason }
}

extension IOEvent where Callback: ~Copyable {
    public var outcome: Outcome {
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

extension IOLoop where Callback == NoCallback, Driver: ~Copyable {
    /// Submits one event and waits for one: the same, when nothing else is in flight.
    public mutating func perform(_ event: consuming PulledEvent) throws -> PulledEvent {
        // The caller sees to it that there is room.
        guard submit(event).isAccepted else { throw Errno.noBufferSpace }
        return try waitForOne()
    }

    /// The next finished event.
    public mutating func waitForOne() throws -> PulledEvent {
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
public func openNew(
    _ path: String, direct: Bool = false, options: FileDescriptor.OpenOptions = []
) throws -> IODescriptor {
    try IODescriptor.open(
        FilePath(path), .readWrite, options: options.union([.create, .truncate]), direct: direct)
}

/// Bytes that depend on their place.
public func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
    // No map: a debug build calls a function for each step of it.
    unsafe [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
        var i = 0
        while i < count {
            let place = start &+ i
            unsafe bytes[i] = UInt8(truncatingIfNeeded: place &* 31 &+ place >> 8)
            i += 1
        }
        initialized = count
    }
}

extension IOEvent where Callback: ~Copyable {
    /// The buffer alone; the rest of the event ends.
    public consuming func takeBuffer() -> IOBuffer {
        var buffer = IOBuffer()
        swap(&buffer, &self.buffer)
        return buffer
    }
}
