/// Memory that takes part in an IO: owned, aligned, and freed exactly once.
///
/// A buffer has a `capacity` and, from its start, `count` valid bytes. A read replaces the valid
/// bytes; a write sends them. Bytes that neither an IO nor the user wrote are never among the valid
/// ones, so the safe interface cannot show them and a write cannot send them.
///
/// While an event that carries the buffer is in flight, the engine owns the buffer: nobody can touch
/// or free the memory that the kernel is working on.
///
/// ```swift
/// var buffer = IOBuffer(capacity: 4096)      // for a read: nothing valid yet
/// var record = IOBuffer(zeroed: 4096)        // for a write: 4096 valid bytes
/// var bytes = record.mutableBytes
/// bytes.storeBytes(of: 42, as: UInt64.self)
/// ```
///
/// Do not use one buffer for many small values that are read separately: a buffer is in one IO at a
/// time. Take several from an ``IOBufferPool`` instead.
@safe @frozen
public struct IOBuffer: ~Copyable, @unchecked Sendable {
    // Unchecked: the pointer is the only way to the memory and this value owns it alone.
    @usableFromInline let base: UnsafeMutableRawPointer

    /// How many bytes the memory holds.
    public let capacity: Int

    @usableFromInline var validCount: Int

    /// Who gets the memory back; nil when this value allocated it.
    @usableFromInline let owner: IOBufferOwner?

    @inlinable
    init(base: UnsafeMutableRawPointer, capacity: Int, count: Int, owner: IOBufferOwner?) {
        unsafe self.base = base
        self.capacity = capacity
        validCount = count
        self.owner = owner
    }

    /// Allocates memory in which nothing is valid yet.
    ///
    /// - Parameters:
    ///   - capacity: Bytes; not negative.
    ///   - alignment: Bytes; a power of two. The default suits direct IO on every common device.
    ///     What a file needs is in ``IODescriptorFacts/offsetAlignment``.
    ///
    /// Traps when the system has no memory left, as every Swift allocation does.
    public init(capacity: Int, alignment: Int = 4096) {
        precondition(capacity >= 0, "a buffer's capacity is in bytes and cannot be negative")
        precondition(
            alignment > 0 && alignment & (alignment - 1) == 0,
            "an alignment is a power of two, for example 4096")
        unsafe self.init(
            base: capacity == 0
                ? IOBuffer.placeholder
                : .allocate(byteCount: capacity, alignment: max(alignment, 16)),
            capacity: capacity, count: 0, owner: nil)
    }

    /// A buffer without memory, as an event has that needs none. Allocates nothing.
    @inlinable
    public init() {
        unsafe self.init(base: IOBuffer.placeholder, capacity: 0, count: 0, owner: nil)
    }

    /// An address that is never read: events without bytes still have a buffer in their place.
    @inlinable
    static var placeholder: UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(bitPattern: 4096).unsafelyUnwrapped
    }

    @inlinable
    deinit {
        if let owner {
            unsafe owner.reclaim(UnsafeMutableRawBufferPointer(start: base, count: capacity))
        } else if capacity > 0 {
            unsafe base.deallocate()
        }
    }

    /// How many bytes, from the start, are valid: written by the user or by an IO.
    @inlinable public var count: Int { validCount }

    /// Declares how many bytes are valid. For the engine, which knows what the kernel wrote.
    @inlinable
    mutating func setCount(_ count: Int) {
        assert(count >= 0 && count <= capacity)
        validCount = count
    }
}

/// Where the memory of a buffer goes when the buffer ends. One object may serve many buffers.
@usableFromInline
class IOBufferOwner: @unchecked Sendable {
    // Unchecked: a class with subclasses cannot be checked; both subclasses say why they are safe.
    @usableFromInline init() {}

    @usableFromInline
    func reclaim(_ memory: UnsafeMutableRawBufferPointer) {
        assertionFailure("each owner says what becomes of its memory")
    }
}
