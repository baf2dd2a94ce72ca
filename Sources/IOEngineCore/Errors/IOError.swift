public import SystemPackage

/// What failed, where, why, and what to do about it.
public struct IOError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was being done.
    @frozen
    public enum Operation: Hashable, Sendable {
        case event(IOAction)
        case open
        case close
        case drain
        case setUp
        case registration
    }

    /// Why, as far as the engine knows more than the errno says.
    @frozen
    public enum Reason: UInt8, Hashable, Sendable {
        /// The kernel, or the driver, answered with the errno.
        case kernel
        case negativeOffset
        case offsetTooLarge
        case zeroLength
        case alreadyDone
        case negativeDescriptor
        case closedDescriptor
        /// The range does not lie within the buffer.
        case rangeBeyondBuffer
        /// A write of bytes that were never written to the buffer, or a read that would leave a gap.
        case rangeBeyondValidBytes
        case misaligned
        case notSeekable
        case isDirectory
        case notOpenForReading
        case notOpenForWriting
        case fileSizeLimit
        case tooLargeToSplit
        case zeroWrite
        case excessTransfer
        case retriesExhausted
        case unsupportedAction
        case driverFull
        /// An earlier sync or durable write of the descriptor failed, and that was not cleared.
        case stickySyncError
        /// A sync, or a write that was to be durable, failed: what was written before may be lost. Later
        /// syncs of the descriptor answer ``stickySyncError`` until that is cleared.
        case dataMayBeLost
        /// The descriptor was opened with O_PATH.
        case pathOnly
        case abandoned
        /// Stopped by ``IOLoop/cancel(_:)`` or the like before all of it was done.
        case cancelled
        /// Stopped because its deadline passed before all of it was done.
        case deadlinePassed
        /// The event before it in its chain did not succeed.
        case chainBroken
        /// Requests that were given up and have not settled hold the slots that it needs.
        case slotsAbandoned
        /// A chain of more events than the loop or the queue has places for.
        case chainTooLong
        /// The process is a fork of the one that made the engine.
        case forked
        /// The driver is gone for good, for example because a simulated disk crashed.
        case crashed
        /// A seccomp filter refuses a system call without which it cannot be done.
        case refusedSystemCall
        case advice
    }

    public let operation: Operation
    /// The descriptor's number, -1 where there is none.
    public let descriptor: Int32
    /// Bytes from the start of the file.
    public let offset: Int64
    /// Bytes asked for.
    public let length: Int
    /// Bytes moved before it failed.
    public let transferred: Int
    public let errno: Errno
    public let reason: Reason
    /// The alignment needed, in bytes, when the reason is `misaligned`; else 0.
    public let alignment: Int
    private let givenAdvice: String?

    @usableFromInline
    init(
        _ failure: IOFailure, action: IOAction, descriptor: Int32, offset: Int64, length: Int,
        transferred: Int
    ) {
        operation = .event(action)
        self.descriptor = descriptor
        self.offset = offset
        self.length = length
        self.transferred = transferred
        errno = Errno(rawValue: failure.errno)
        reason = failure.reason
        alignment = failure.alignment
        givenAdvice = failure.refusedCall?.advice
    }

    /// For drivers, and for what is not an event.
    ///
    /// - Parameter advice: A sentence for the person who must mend it; nil: what the errno suggests.
    public init(
        operation: Operation, descriptor: Int32 = -1, offset: Int64 = 0, length: Int = 0,
        errno: Errno, advice: String? = nil
    ) {
        self.operation = operation
        self.descriptor = descriptor
        self.offset = offset
        self.length = length
        transferred = 0
        self.errno = errno
        reason = advice == nil ? .kernel : .advice
        alignment = 0
        givenAdvice = advice
    }

    /// What the person can do about it: a sentence.
    public var advice: String { givenAdvice ?? ErrnoTable.advice(for: self) }

    /// One line: what failed, where, the errno's name, and the advice.
    public var description: String {
        "\(ErrnoTable.subject(of: self)) failed: \(ErrnoTable.name(of: errno)): \(advice)"
    }
}
