/// One operation: what to do, on which file, with which memory, and who hears of it.
///
/// An event owns its buffer and moves into the engine when it is submitted, so nothing can touch the
/// memory under a running IO. It moves back out, finished, through its callback or
/// ``IOLoop/next()``.
///
/// Make one with ``read(_:into:at:range:callback:)-(IODescriptor,_,_,_,_)``, `write`, `sync`,
/// `allocate` or `noOperation`; set ``flags``, ``priority`` and ``shortTransfers`` before submitting.
/// Submitted again after ``restart(at:)`` it costs no allocation; submitted again after a short
/// transfer or an error, it continues where it stopped.
@frozen
public struct IOEvent<Callback: IOCallback & ~Copyable>: ~Copyable, Sendable {
    // 96 bytes before the callback, in an order without gaps: events move often.

    /// The memory. Without capacity where the action needs none, for vectored events, and after the
    /// engine had to abandon the request.
    public var buffer: IOBuffer

    /// Bytes from the start of the file.
    public var offset: Int64
    @usableFromInline var movedLength: Int
    @usableFromInline var wantedLength: Int

    /// Where in the buffer the bytes start; for an allocate its mode.
    @usableFromInline var rangeStart: Int

    @usableFromInline var vectored: IOVectorStorage?
    @usableFromInline var descriptorObject: IODescriptor?

    /// The file descriptor's number, -1 for an event that has none.
    public let descriptor: Int32

    /// Transfers only.
    public var flags: IOFlags = []

    /// Why it failed; `.none` while it has not.
    @usableFromInline var failure: IOFailure = .none

    public var priority: IOPriority = .inherited
    public let action: IOAction
    @usableFromInline var status: Status

    /// Who hears of the end; taken out when it is called. Nil: nobody, for loops that are pulled.
    public var callback: Callback?

    @inlinable
    init(
        _ action: IOAction, descriptor: Int32, object: IODescriptor?, buffer: consuming IOBuffer,
        vectored: IOVectorStorage? = nil, offset: Int64, rangeStart: Int = 0, length: Int,
        movesWholeBuffer: Bool, callback: consuming Callback?
    ) {
        self.buffer = buffer
        self.offset = offset
        movedLength = 0
        wantedLength = length
        self.rangeStart = rangeStart
        self.vectored = vectored
        descriptorObject = object
        self.descriptor = descriptor
        self.action = action
        status = movesWholeBuffer ? .movesWholeBuffer : []
        self.callback = callback
    }

    /// Where the event stands, and two of its settings.
    @frozen @usableFromInline
    struct Status: OptionSet, Sendable {
        @usableFromInline var rawValue: UInt8
        @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Finished although not all of it was moved: the file's end, or a failure; and anything that
        /// moves no bytes.
        @inlinable static var done: Self { Self(rawValue: 1) }
        /// The kernel may still work on the memory, which the engine kept.
        @inlinable static var abandoned: Self { Self(rawValue: 2) }
        /// Short transfers are handed over.
        @inlinable static var handsOver: Self { Self(rawValue: 4) }
        /// The IO moves the whole buffer (then `length` follows the buffer), not a range of it.
        @inlinable static var movesWholeBuffer: Self { Self(rawValue: 8) }
        /// The loop keeps more about it than about a plain transfer.
        @inlinable static var hasPolicy: Self { Self(rawValue: 16) }
    }
}

extension IOEvent where Callback: ~Copyable {
    /// Bytes to move or to allocate. For an event without a `range` the engine computes it when it
    /// accepts the event: the buffer's capacity for a read, its valid bytes for a write.
    @inlinable public var length: Int { wantedLength }

    /// Bytes moved so far, over all continuations and parts.
    @inlinable public var transferred: Int { movedLength }

    /// What happens when the kernel moves fewer bytes than asked.
    @inlinable
    public var shortTransfers: IOShortTransferMode {
        get { status.contains(.handsOver) ? .handsOver : .continues }
        set {
            if newValue == .handsOver {
                status.insert(.handsOver)
            } else {
                status.remove(.handsOver)
            }
        }
    }

    /// The descriptor object without the atomic retain and release of a copy of the reference. The
    /// event holds the object for as long as it is looked at.
    @inlinable
    var unretainedObject: Unmanaged<IODescriptor>? {
        mutating get {
            unsafe withUnsafePointer(to: &descriptorObject) { place in
                unsafe UnsafeRawPointer(place).load(as: Unmanaged<IODescriptor>?.self)
            }
        }
    }

    /// A read or write with one buffer, without flags, that continues when short: the common path.
    @inlinable
    var isUniform: Bool {
        (action == .read || action == .write) && !status.contains(.handsOver) && flags.isEmpty
    }

    /// The same, and nothing of it is done: it has just been made or restarted. In one comparison.
    @inlinable
    var isNewAndUniform: Bool {
        let others = status.intersection([.handsOver, .done, .abandoned]).rawValue
        return UInt(flags.rawValue) | UInt(failure.number) | UInt(others)
            | UInt(bitPattern: movedLength) == 0 && (action == .read || action == .write)
    }

    /// Whether the range of a new read or write is one that a single request can move, in the file and
    /// in its buffer; `length` follows the buffer where it is to. Not told of the last two GiB before
    /// the largest offset.
    @inlinable
    mutating func takesPlainRange() -> Bool {
        let limit = action == .read ? buffer.capacity : buffer.count
        if movesWholeBuffer {
            wantedLength = limit
        } else {
            guard rangeStart >= 0, rangeStart <= buffer.count, length <= limit &- rangeStart else {
                return false
            }
        }
        let most = IORequest.maximumTransfer
        return UInt(bitPattern: length &- 1) < UInt(bitPattern: most)
            && UInt64(bitPattern: offset) <= UInt64(Int64.max &- Int64(most))
    }

    @inlinable var movesWholeBuffer: Bool { status.contains(.movesWholeBuffer) }
    @inlinable var allocationMode: IOAllocationMode {
        IOAllocationMode(rawValue: Int32(truncatingIfNeeded: rangeStart))
    }
}
