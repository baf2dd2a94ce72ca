extension IOBuffer {
    /// Adopts memory of the user's: an arena, a page cache, a mapped file.
    ///
    /// The engine may hand the address to the kernel from now on. `deallocator` is called exactly
    /// once, when the buffer ends, on whatever thread that happens; it is the only allocation here.
    ///
    /// - Parameters:
    ///   - memory: At least one byte. Nobody else may touch it until `deallocator` is called.
    ///   - count: How many bytes from the start are valid.
    ///   - deallocator: Gets the memory back.
    ///
    /// Unsafe: that the memory lives long enough and is left alone is the caller's promise.
    @unsafe
    public init(
        adopting memory: UnsafeMutableRawBufferPointer, count: Int,
        deallocator: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void
    ) {
        guard let start = memory.baseAddress, memory.count > 0 else {
            preconditionFailure("a buffer cannot adopt no memory")
        }
        precondition(count >= 0 && count <= memory.count, "more valid bytes than memory")
        unsafe self.init(
            base: start, capacity: memory.count, count: count,
            owner: AdoptedMemoryOwner(deallocator: deallocator))
    }
}

/// Hands adopted memory back through the user's closure, each address once. Unchecked only because
/// its parent is.
@safe private final class AdoptedMemoryOwner: IOBufferOwner, @unchecked Sendable {
    let deallocator: @Sendable (UnsafeMutableRawBufferPointer) -> Void

    init(deallocator: @escaping @Sendable (UnsafeMutableRawBufferPointer) -> Void) {
        unsafe self.deallocator = deallocator
    }

    override func reclaim(_ memory: UnsafeMutableRawBufferPointer) { unsafe deallocator(memory) }
}
