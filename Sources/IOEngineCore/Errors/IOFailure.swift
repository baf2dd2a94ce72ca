/// Why an event failed, in 4 bytes: an error is made of it only when somebody asks.
@frozen @usableFromInline
struct IOFailure: Equatable, Sendable {
    /// Positive; 0: no failure. Every errno of Linux is below 4096.
    @usableFromInline let number: UInt16
    @usableFromInline let reason: IOError.Reason
    /// What belongs to the reason: the binary logarithm of an alignment in bytes, or the number of
    /// a ``SystemCall``; else 0.
    @usableFromInline let detail: UInt8

    @inlinable
    init(errno: Int32, reason: IOError.Reason) {
        number = UInt16(truncatingIfNeeded: errno)
        self.reason = reason
        detail = 0
    }

    /// - Parameter alignment: Bytes; a power of two.
    init(errno: Int32, misalignedFor alignment: Int) {
        number = UInt16(truncatingIfNeeded: errno)
        reason = .misaligned
        detail = UInt8(truncatingIfNeeded: alignment.trailingZeroBitCount)
    }

    /// A filter refused a system call.
    init(errno: Int32, refused call: SystemCall) {
        number = UInt16(truncatingIfNeeded: errno)
        reason = .refusedSystemCall
        detail = call.rawValue
    }

    /// In bytes; 0 where the reason is another.
    var alignment: Int { reason == .misaligned ? 1 << Int(detail) : 0 }

    /// Nil where the reason is another.
    var refusedCall: SystemCall? {
        reason == .refusedSystemCall ? SystemCall(rawValue: detail) : nil
    }

    @inlinable var errno: Int32 { Int32(number) }
    @inlinable static var none: IOFailure { IOFailure(errno: 0, reason: .kernel) }
    @inlinable var isNone: Bool { number == 0 }

    /// As the kernel answered it.
    @inlinable
    static func kernel(_ errno: Int32) -> IOFailure { IOFailure(errno: errno, reason: .kernel) }

    /// Stopped because somebody asked.
    @inlinable
    static var cancelled: IOFailure { IOFailure(errno: Errnos.canceled, reason: .cancelled) }
}
