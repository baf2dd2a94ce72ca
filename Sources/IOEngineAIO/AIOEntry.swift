internal import Glibc

#if _endian(big) || _pointerBitWidth(_32)
    #error("the structures below are those of 64-bit little-endian machines")
#endif

/// A request as the kernel reads it: `struct iocb` of linux/aio_abi.h, a cache line.
///
/// Declared here and not taken from libaio, so that inlinable code can fill it field by field.
@safe @frozen @usableFromInline
struct AIOEntry {
    /// Comes back with the event: the token, or one of the marks below.
    @usableFromInline var data: UInt64 = AIOEntry.noToken
    /// The kernel's.
    @usableFromInline var key: UInt32 = 0
    /// RWF_* bits of `preadv2(2)`.
    @usableFromInline var flags: UInt32 = 0
    @usableFromInline var command: AIOCommand
    @usableFromInline var priority: UInt16 = 0
    @usableFromInline var descriptor: Int32 = -1
    /// Bytes, or vectors; for a poll its events, as a number.
    @usableFromInline var address: UnsafeMutableRawPointer?
    /// Bytes, or how many vectors.
    @usableFromInline var length = 0
    @usableFromInline var offset: Int64 = 0
    @usableFromInline var reserved: UInt64 = 0
    /// Which of the fields before count.
    @usableFromInline var fields: UInt32 = 0
    /// An eventfd of its own: not used.
    @usableFromInline var eventDescriptor: UInt32 = 0

    @inlinable
    init(_ command: AIOCommand) { self.command = command }

    /// Polls an eventfd.
    init(listeningTo descriptor: Int32) {
        self.init(.poll)
        data = AIOEntry.wakeUpMark
        self.descriptor = descriptor
        unsafe address = UnsafeMutableRawPointer(bitPattern: Int(POLLIN))
    }

    /// IOCB_FLAG_IOPRIO (Linux 4.18): `priority` counts.
    @inlinable static var priorityCounts: UInt32 { 2 }

    /// `data` of the entry that listens, and of entries without a request: slots that no loop uses.
    @inlinable static var wakeUpMark: UInt64 { .max }
    @inlinable static var noToken: UInt64 { .max - 1 }
}

/// What an entry asks for: IOCB_CMD_* of linux/aio_abi.h.
@frozen @usableFromInline
struct AIOCommand: Equatable {
    @usableFromInline var number: UInt16

    @inlinable
    init(_ number: UInt16) { self.number = number }

    @inlinable static var read: Self { Self(0) }
    @inlinable static var write: Self { Self(1) }
    @inlinable static var syncFull: Self { Self(2) }
    @inlinable static var syncData: Self { Self(3) }
    @inlinable static var poll: Self { Self(5) }
    @inlinable static var readVectored: Self { Self(7) }
    @inlinable static var writeVectored: Self { Self(8) }
}

/// A completion as the kernel writes it: `struct io_event` of linux/aio_abi.h.
@frozen @usableFromInline
struct AIOEvent {
    /// What the entry had.
    @usableFromInline var data: UInt64 = 0
    /// The entry's address.
    @usableFromInline var entry: UInt64 = 0
    /// Bytes moved, or a negative errno.
    @usableFromInline var result = 0
    @usableFromInline var secondResult = 0

    @inlinable
    init() {}
}
