public import IOEngineCore
public import SystemPackage

/// How a request of a mock ends.
public enum MockAnswer: Hashable, Sendable {
    /// All of it is done, up to the end of the file.
    case completes
    /// At most so many bytes are moved.
    case moves(Int)
    /// Ends with this errno, nothing done.
    case fails(Errno)
    /// Ends with this errno after at most so many bytes were moved, which it does not tell: what a device
    /// with a bad sector may do.
    case movesThenFails(Int, Errno)
    /// Answers this and does nothing, whatever it means: more bytes than asked for, an errno that does
    /// not exist. The bytes that a read claims were never written.
    case result(Int)
    /// Stays in flight until ``MockDevice/release(_:)`` or a cancellation.
    case isHeld
}

/// A request that a mock answered, and how.
public struct MockEntry: Sendable, CustomStringConvertible {
    /// As the driver got it, without the address, which is no longer valid.
    public let request: IORequest
    /// Bytes, or a negative errno.
    public let result: Int

    init(_ request: IORequest, _ result: Int) {
        var request = request
        unsafe request.address = nil
        self.request = request
        self.result = result
    }

    public var description: String {
        var text = "\(request.action)"
        if request.descriptor >= 0 { text += " of \(request.descriptor)" }
        if request.length > 0 { text += ", \(request.length) at \(request.offset)" }
        return text + ": \(result)"
    }
}

/// What a mock counts.
public struct MockCounts: Hashable, Sendable {
    public var submits = 0
    public var hastens = 0
    public var cancels = 0
    /// Times that a request found no room.
    public var full = 0
}
