/// Why an event failed, in 12 bytes: an error is made of it only when somebody asks.
@frozen @usableFromInline
struct IOFailure: Equatable, Sendable {
    /// Positive; 0: no failure.
    @usableFromInline var errno: Int32
    @usableFromInline var reason: IOError.Reason
    /// What the reason needs to be explained: an alignment in bytes.
    @usableFromInline var detail: UInt32

    @inlinable
    init(errno: Int32, reason: IOError.Reason, detail: UInt32 = 0) {
        self.errno = errno
        self.reason = reason
        self.detail = detail
    }

    @inlinable static var none: IOFailure { IOFailure(errno: 0, reason: .kernel) }
    @inlinable var isNone: Bool { errno == 0 }

    /// As the kernel answered it.
    @inlinable
    static func kernel(_ errno: Int32) -> IOFailure { IOFailure(errno: errno, reason: .kernel) }
}
