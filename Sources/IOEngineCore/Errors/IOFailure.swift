/// Why an event failed, in 4 bytes: an error is made of it only when somebody asks.
@frozen @usableFromInline
struct IOFailure: Equatable, Sendable {
    /// Positive; 0: no failure. Every errno of Linux is below 4096.
    @usableFromInline let number: UInt16
    @usableFromInline let reason: IOError.Reason
    /// Of an alignment in bytes, where the reason is one: its binary logarithm.
    @usableFromInline let alignmentLogarithm: UInt8

    @inlinable
    init(errno: Int32, reason: IOError.Reason) {
        number = UInt16(truncatingIfNeeded: errno)
        self.reason = reason
        alignmentLogarithm = 0
    }

    /// - Parameter alignment: Bytes; a power of two.
    init(errno: Int32, misalignedFor alignment: Int) {
        number = UInt16(truncatingIfNeeded: errno)
        reason = .misaligned
        alignmentLogarithm = UInt8(truncatingIfNeeded: alignment.trailingZeroBitCount)
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
