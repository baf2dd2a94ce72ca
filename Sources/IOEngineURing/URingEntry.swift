/// A request as the kernel reads it: `struct io_uring_sqe` of linux/io_uring.h, a cache line, as far as it is
/// used here.
///
/// Declared here and not taken from the kernel's header, so that inlinable code can fill it field by field.
@safe @frozen @usableFromInline
struct URingEntry {
    @usableFromInline var operation: URingOperation
    /// IOSQE_* bits.
    @usableFromInline var flags: UInt8 = 0
    @usableFromInline var priority: UInt16 = 0
    /// A number, or a registered place.
    @usableFromInline var descriptor: Int32 = -1
    @usableFromInline var offset: UInt64 = 0
    /// Memory, or for an allocate its length, or whom to cancel.
    @usableFromInline var address: UInt64 = 0
    /// Bytes, vectors, or the mode of an allocate.
    @usableFromInline var length: UInt32 = 0
    /// RWF_* bits, or those of a sync or a cancellation.
    @usableFromInline var operationFlags: UInt32 = 0
    /// Comes back with the completion.
    @usableFromInline var userData: UInt64 = 0
    /// The registered region.
    @usableFromInline var region: UInt16 = 0
    @usableFromInline var personality: UInt16 = 0
    @usableFromInline var fileIndex: UInt32 = 0
    @usableFromInline var reserved: (UInt64, UInt64) = (0, 0)

    @inlinable
    init(_ operation: URingOperation) { self.operation = operation }

    /// Reads an eventfd into `counter`.
    init(listeningTo descriptor: Int32, _ counter: UnsafeMutableRawPointer) {
        self.init(.read)
        self.descriptor = descriptor
        address = UInt64(UInt(bitPattern: counter))
        length = 8
    }

    /// Ends after a time.
    init(after time: UnsafeMutablePointer<(seconds: Int64, nanoseconds: Int64)>) {
        self.init(.timeout)
        address = UInt64(UInt(bitPattern: time))
        length = 1
        userData = InternalEntry.timer
    }

    /// Asks for requests to be cancelled, by user data or as the flags say.
    init(cancelling userData: UInt64, flags: UInt32 = 0) {
        self.init(.cancel)
        address = userData
        operationFlags = flags
        self.userData = InternalEntry.cancellation
    }
}

/// What an entry asks for: IORING_OP_* of linux/io_uring.h.
@frozen @usableFromInline
struct URingOperation: Equatable {
    @usableFromInline let number: UInt8

    @inlinable
    init(_ number: UInt8) { self.number = number }

    @inlinable static var nothing: Self { Self(0) }
    @inlinable static var readVectored: Self { Self(1) }
    @inlinable static var writeVectored: Self { Self(2) }
    @inlinable static var sync: Self { Self(3) }
    @inlinable static var readRegistered: Self { Self(4) }
    @inlinable static var writeRegistered: Self { Self(5) }
    @inlinable static var timeout: Self { Self(11) }
    @inlinable static var cancel: Self { Self(14) }
    @inlinable static var allocate: Self { Self(17) }
    @inlinable static var read: Self { Self(22) }
    @inlinable static var write: Self { Self(23) }
}

/// A completion as the kernel writes it: `struct io_uring_cqe` of linux/io_uring.h.
@frozen @usableFromInline
struct URingCompletion {
    @usableFromInline let userData: UInt64
    /// Bytes moved, or a negative errno.
    @usableFromInline let result: Int32
    @usableFromInline let flags: UInt32
}
