/// The plain-data form of an event that a driver sees: what to do, and the token to hand back.
///
/// Everything a request points at (memory, vectors) stays valid until its completion is reaped. A
/// driver never owns or frees any of it.
@safe @frozen
public struct IORequest: @unchecked Sendable {
    // Unchecked: the loop that owns the memory behind `address` waits for the completion.

    /// To be handed back with the completion.
    public var token: IOToken
    /// The bytes, or for a vectored action the first ``IOVector``; nil for actions without bytes.
    public var address: UnsafeMutableRawPointer?
    /// Bytes from the start of the file; never negative.
    public var offset: Int64
    /// Bytes in all. For a transfer at most ``maximumTransfer``; for an allocate any size.
    public var length: Int
    /// The file descriptor's number.
    public var descriptor: Int32
    /// Where the driver registered the descriptor (what ``IODriver/register(descriptor:)``
    /// returned), or -1.
    public var registeredDescriptor: Int32
    /// Index of the registered region that the bytes lie in, or -1.
    public var registeredRegion: Int32
    /// Vectors behind `address`, for a vectored action.
    public var vectorCount: UInt32
    /// RWF_* bits of `preadv2(2)`, as the kernel numbers them.
    public var flags: IOFlags
    /// Mode of `fallocate(2)`, for an allocate.
    public var allocationMode: IOAllocationMode
    /// IO priority as `ioprio_set(2)` numbers it; 0: the thread's own.
    public var priority: IOPriority
    public var action: IOAction
    /// The request came back EAGAIN without having asked for that: do not try inline again, but on a
    /// thread that may block.
    public var mayBlock: Bool
    /// What is known of the descriptor.
    public var traits: IODescriptorTraits
    /// What offset and length of direct IO on the descriptor must be multiples of, as its binary
    /// logarithm; 0: of nothing, or it is not known.
    public var alignmentLogarithm: UInt8

    /// What one kernel transfer moves at most: 2^31 minus a page (MAX_RW_COUNT, `read(2)`).
    @inlinable public static var maximumTransfer: Int { 0x7fff_f000 }

    @inlinable
    public init(
        token: IOToken, action: IOAction, descriptor: Int32 = -1,
        address: UnsafeMutableRawPointer? = nil, vectorCount: UInt32 = 0,
        offset: Int64 = 0, length: Int = 0, flags: IOFlags = [],
        allocationMode: IOAllocationMode = .extend, priority: IOPriority = .inherited,
        registeredDescriptor: Int32 = -1, registeredRegion: Int32 = -1, mayBlock: Bool = false,
        traits: IODescriptorTraits = [], alignmentLogarithm: UInt8 = 0
    ) {
        self.token = token
        self.action = action
        self.descriptor = descriptor
        unsafe self.address = address
        self.vectorCount = vectorCount
        self.offset = offset
        self.length = length
        self.flags = flags
        self.allocationMode = allocationMode
        self.priority = priority
        self.registeredDescriptor = registeredDescriptor
        self.registeredRegion = registeredRegion
        self.mayBlock = mayBlock
        self.traits = traits
        self.alignmentLogarithm = alignmentLogarithm
    }
}

/// One piece of a vectored request. Laid out as `struct iovec`, so drivers pass it to the kernel as
/// it is.
@safe @frozen
public struct IOVector: @unchecked Sendable {
    // Unchecked: as for IORequest, the loop owns the memory.
    public var base: UnsafeMutableRawPointer
    /// Bytes.
    public var count: Int

    @inlinable
    public init(base: UnsafeMutableRawPointer, count: Int) {
        unsafe self.base = base
        self.count = count
    }

    /// What one vectored request may hold at most (IOV_MAX, `readv(2)`).
    @inlinable public static var maximumCount: Int { 1024 }
}
