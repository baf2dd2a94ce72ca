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
    /// Who hears of the end; taken out when it is called. Nil: nobody, for loops that are pulled.
    public var callback: Callback?

    /// The memory. Without capacity where the action needs none, for vectored events, and after the
    /// engine had to abandon the request.
    public var buffer: IOBuffer

    /// Bytes from the start of the file.
    public var offset: Int64

    /// Bytes to move or to allocate. For an event without a `range` the engine computes it when it
    /// accepts the event: the buffer's capacity for a read, its valid bytes for a write.
    @inlinable public var length: Int { wantedLength }
    @usableFromInline var wantedLength: Int

    /// Bytes moved so far, over all continuations and parts.
    @inlinable public var transferred: Int { movedLength }
    @usableFromInline var movedLength: Int

    /// Where in the buffer the bytes start.
    @usableFromInline var rangeStart: Int

    @usableFromInline var vectored: IOVectorStorage?
    @usableFromInline var descriptorObject: IODescriptor?

    /// The file descriptor's number, -1 for an event that has none.
    public let descriptor: Int32

    /// Transfers only.
    public var flags: IOFlags = []
    public var priority: IOPriority = .inherited
    public let action: IOAction
    public var shortTransfers: IOShortTransferMode = .continues

    /// Why it failed; `.none` while it has not.
    @usableFromInline var failure: IOFailure = .none

    /// Whether the engine has finished with it at least once since it was made or restarted.
    @usableFromInline var phase: Phase = .fresh

    /// Whether the IO moves the whole buffer (then `length` follows the buffer) or a range of it.
    @usableFromInline let movesWholeBuffer: Bool

    @usableFromInline let allocationMode: IOAllocationMode

    @frozen @usableFromInline
    enum Phase: UInt8, Sendable {
        /// Never finished since it was made or restarted.
        case fresh
        /// Handed over with more to do.
        case short
        /// Finished: all of it, the file's end, or a failure.
        case done
        /// As done, but the kernel may still work on the memory, which the engine kept.
        case abandoned
    }

    @inlinable
    init(
        _ action: IOAction, descriptor: Int32, object: IODescriptor?, buffer: consuming IOBuffer,
        vectored: IOVectorStorage? = nil, offset: Int64, rangeStart: Int = 0, length: Int,
        movesWholeBuffer: Bool, allocationMode: IOAllocationMode = .extend,
        callback: consuming Callback?
    ) {
        self.action = action
        self.descriptor = descriptor
        descriptorObject = object
        self.buffer = buffer
        self.vectored = vectored
        self.offset = offset
        self.rangeStart = rangeStart
        wantedLength = length
        self.movesWholeBuffer = movesWholeBuffer
        self.allocationMode = allocationMode
        self.callback = callback
        movedLength = 0
    }
}
