/// The events in flight, each with what the loop keeps about it, side by side: an event and its slot
/// share two cache lines.
///
/// Owns the memory. Whether an event's place is initialised is the loop's to know: exactly while its
/// slot is not vacant. Places never move, because requests in flight point into them.
@safe @frozen @usableFromInline
struct SlotTable<Callback: IOCallback & ~Copyable>: ~Copyable {
    @usableFromInline let memory: UnsafeMutableRawPointer
    @inlinable
    init(depth: Int, firstGeneration: UInt32) {
        unsafe memory = .allocate(byteCount: SlotTable.stride * depth, alignment: 128)
        for number in 0..<UInt32(depth) {
            unsafe slot(number).initialize(to: LoopSlot(generation: firstGeneration))
        }
    }

    @inlinable
    deinit { unsafe memory.deallocate() }

    /// Bytes from one place to the next: whole cache lines. A constant once specialised.
    @inlinable
    static var stride: Int { (slotOffset + MemoryLayout<LoopSlot>.stride + 63) & ~63 }

    /// Where in a place the slot is, behind the event.
    @inlinable
    static var slotOffset: Int { (MemoryLayout<IOEvent<Callback>>.size + 7) & ~7 }

    @inlinable @inline(__always)
    func event(_ number: UInt32) -> UnsafeMutablePointer<IOEvent<Callback>> {
        unsafe (memory + Int(number) &* SlotTable.stride).assumingMemoryBound(
            to: IOEvent<Callback>.self)
    }

    @inlinable @inline(__always)
    func slot(_ number: UInt32) -> UnsafeMutablePointer<LoopSlot> {
        unsafe (memory + (Int(number) &* SlotTable.stride &+ SlotTable.slotOffset))
            .assumingMemoryBound(to: LoopSlot.self)
    }
}

/// What the loop keeps about one event beside the event itself. 24 bytes.
@safe @frozen @usableFromInline
struct LoopSlot {
    @usableFromInline var record: UnsafeMutablePointer<DescriptorRecord>?
    /// Counts requests of this slot; wraps at 2^32.
    @usableFromInline var generation: UInt32
    /// The generation with which the event was accepted: its ticket.
    @usableFromInline var acceptedGeneration: UInt32 = 0
    /// Bytes of the current request; at most 2^31.
    @usableFromInline var requestedBytes: UInt32 = 0
    @usableFromInline var machine = EventStateMachine()

    @usableFromInline
    init(generation: UInt32) { self.generation = generation }

    @inlinable
    var requested: Int {
        get { Int(requestedBytes) }
        set { requestedBytes = UInt32(truncatingIfNeeded: newValue) }
    }
}
