internal import IOEngineCore

/// Pieces of memory of one size: what joined requests are copied together in, and what the bytes of
/// gaps are thrown into.
///
/// A piece is lent to one joined request until that has ended. The sizes are whole pages, so pieces
/// are aligned for direct IO.
@safe
struct MemoryPieces: ~Copyable {
    let memory: KeptMemory
    let pieceSize: Int
    /// Free pieces by number; the last one first: its memory is warm.
    private let free: FixedTable<UInt32>
    private var freeCount: Int

    /// - Parameter pieceSize: Bytes; rounded up to whole pages.
    init(count: Int, pieceSize: Int) {
        self.pieceSize = (pieceSize + 4095) & ~4095
        memory = KeptMemory(byteCount: count * self.pieceSize)
        free = FixedTable(count: count, repeating: 0)
        for i in 0..<count { free[i] = UInt32(count - 1 - i) }
        freeCount = count
    }

    mutating func take() -> UnsafeMutableRawPointer? {
        if freeCount == 0 { return nil }
        freeCount -= 1
        return unsafe memory.base + Int(free[freeCount]) * pieceSize
    }

    func contains(_ address: UnsafeMutableRawPointer) -> Bool {
        unsafe address >= memory.base && address < memory.base + memory.bytes.count
    }

    mutating func give(back piece: UnsafeMutableRawPointer) {
        assert(unsafe contains(piece))
        free[freeCount] = UInt32(unsafe (piece - memory.base) / pieceSize)
        freeCount += 1
    }
}
