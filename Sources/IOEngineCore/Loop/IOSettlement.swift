public import SystemPackage

/// What became of a request whose event had been abandoned: from here on the kernel no longer uses the
/// memory, which the engine has freed or given back to its pool.
public struct IOSettlement: Hashable, Sendable {
    /// As the submission of the event returned it.
    public let ticket: IOTicket
    public let action: IOAction
    /// The descriptor's number.
    public let descriptor: Int32
    /// Bytes from the start of the file, where the event began.
    public let offset: Int64
    /// Bytes of the event.
    public let length: Int
    /// Bytes moved in all, the late ones included.
    public let transferred: Int
    /// How its last request ended; nil: well.
    public let errno: Errno?
}
