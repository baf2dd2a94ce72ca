extension IOBuffer {
    /// Whether no byte is valid.
    @inlinable public var isEmpty: Bool { count == 0 }

    /// The valid bytes, to look at.
    @inlinable
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(base), byteCount: count)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The valid bytes, to change in place; take them into a `var` first. To make more bytes valid, use ``resize(to:)``,
    /// ``append(_:)`` or ``append(addingCapacity:initializingWith:)``.
    @inlinable
    public var mutableBytes: MutableRawSpan {
        @_lifetime(&self)
        mutating get {
            let span = unsafe MutableRawSpan(_unsafeStart: base, byteCount: count)
            return unsafe _overrideLifetime(span, mutating: &self)
        }
    }

    /// One valid byte. An offset at or past `count` is a precondition failure.
    @inlinable
    public subscript(offset: Int) -> UInt8 {
        get {
            precondition(offset >= 0 && offset < count, "no valid byte at this offset")
            return unsafe base.load(fromByteOffset: offset, as: UInt8.self)
        }
        set {
            precondition(offset >= 0 && offset < count, "no valid byte at this offset")
            unsafe base.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self)
        }
    }

    /// Allocates memory whose bytes are all valid and zero.
    public init(zeroed count: Int, alignment: Int = 4096) {
        self.init(capacity: count, alignment: alignment)
        resize(to: count)
    }

    /// Allocates memory that holds a copy of `source`.
    ///
    /// - Parameter capacity: Bytes of memory; at least as many as `source` has, which is the default.
    public init(copying source: RawSpan, capacity: Int? = nil, alignment: Int = 4096) {
        let capacity = capacity ?? source.byteCount
        precondition(capacity >= source.byteCount, "the capacity is smaller than what is copied")
        self.init(capacity: capacity, alignment: alignment)
        append(copying: source)
    }

    /// Allocates memory that holds a copy of an array's bytes.
    public init(copying source: [UInt8], capacity: Int? = nil, alignment: Int = 4096) {
        unsafe self.init(copying: source.span.bytes, capacity: capacity, alignment: alignment)
    }

    /// Makes exactly `newCount` bytes valid: drops those behind, or adds zeros.
    ///
    /// A count above the capacity is a precondition failure. Cost: the zeros that are added.
    public mutating func resize(to newCount: Int) {
        precondition(
            newCount >= 0 && newCount <= capacity, "a count lies between 0 and the capacity")
        if newCount > count {
            unsafe (base + count).initializeMemory(
                as: UInt8.self, repeating: 0, count: newCount - count)
        }
        setCount(newCount)
    }

    /// Makes the whole capacity valid, each byte being `byte`.
    public mutating func fill(with byte: UInt8) {
        unsafe base.initializeMemory(as: UInt8.self, repeating: byte, count: capacity)
        setCount(capacity)
    }

    /// Makes no byte valid. Frees nothing.
    @inlinable public mutating func removeAll() { setCount(0) }

    /// Adds one byte behind the valid ones. A full buffer is a precondition failure.
    @inlinable
    public mutating func append(_ byte: UInt8) {
        precondition(count < capacity, "the buffer is full")
        unsafe base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        setCount(count &+ 1)
    }

    /// Adds a copy of `source` behind the valid bytes. Too little room is a precondition failure.
    public mutating func append(copying source: RawSpan) {
        precondition(
            source.byteCount <= capacity - count, "the buffer has no room for that many bytes")
        unsafe source.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress {
                unsafe (base + validCount).copyMemory(from: start, byteCount: bytes.count)
            }
        }
        setCount(count + source.byteCount)
    }

    /// Adds bytes in place, without writing them twice: `body` gets a span over the free memory
    /// and appends to it. What it appended becomes valid, also when it throws.
    public mutating func append<E: Error>(
        addingCapacity capacity: Int,
        initializingWith body: (inout OutputRawSpan) throws(E) -> Void
    ) throws(E) {
        precondition(
            capacity >= 0 && capacity <= self.capacity - count, "not that much free capacity")
        let free = unsafe UnsafeMutableRawBufferPointer(start: base + count, count: capacity)
        var span = unsafe OutputRawSpan(buffer: free, initializedCount: 0)
        defer {
            let added = unsafe span.finalize(for: free)
            setCount(count + added)
            span = OutputRawSpan()
        }
        try body(&span)
    }

    /// Gives `body` the whole capacity, valid or not, and does not change `count`.
    ///
    /// Unsafe: bytes from `count` on may never have been written. The pointer must not leave `body`.
    @unsafe @inlinable
    public mutating func withUnsafeMutableBytes<R: ~Copyable, E: Error>(
        _ body: (UnsafeMutableRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        try unsafe body(UnsafeMutableRawBufferPointer(start: base, count: capacity))
    }
}

extension [UInt8] {
    /// A copy of a buffer's valid bytes. Costs an allocation.
    public init(copying source: borrowing IOBuffer) { self.init(copying: source.bytes) }

    /// A copy of bytes, such as a part of a buffer's. Costs an allocation.
    public init(copying source: RawSpan) {
        self = unsafe source.withUnsafeBytes { unsafe Array($0) }
    }
}
