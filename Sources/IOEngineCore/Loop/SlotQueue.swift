/// A ring of slot numbers with room for all of them: pushing never fails.
@safe @frozen @usableFromInline
struct SlotQueue: ~Copyable {
    @usableFromInline let slots: UnsafeMutableBufferPointer<UInt32>
    @usableFromInline var head = 0
    @usableFromInline var count = 0

    @usableFromInline
    init(depth: Int) {
        unsafe slots = .allocate(capacity: depth)
        unsafe slots.initialize(repeating: 0)
    }

    @usableFromInline
    deinit { unsafe slots.deallocate() }

    @inlinable var isEmpty: Bool { count == 0 }

    @inlinable
    mutating func push(_ slot: UInt32) {
        assert(unsafe count < slots.count, "a slot is in a queue once")
        var tail = head &+ count
        if unsafe tail >= slots.count { unsafe tail &-= slots.count }
        unsafe slots[tail] = slot
        count &+= 1
    }

    /// Puts a slot back in front.
    @inlinable
    mutating func pushFirst(_ slot: UInt32) {
        assert(unsafe count < slots.count, "a slot is in a queue once")
        head = unsafe head == 0 ? slots.count &- 1 : head &- 1
        unsafe slots[head] = slot
        count &+= 1
    }

    @inlinable
    mutating func pop() -> UInt32 {
        assert(count > 0)
        let slot = unsafe slots[head]
        head &+= 1
        if unsafe head == slots.count { head = 0 }
        count &-= 1
        return slot
    }
}

/// What the loop keeps about one event beside the event itself.
@safe @frozen @usableFromInline
struct LoopSlot {
    @usableFromInline var machine = EventStateMachine()
    /// Counts requests of this slot; wraps at 2^32.
    @usableFromInline var generation: UInt32
    /// The generation with which the event was accepted: its ticket.
    @usableFromInline var acceptedGeneration: UInt32 = 0
    @usableFromInline var mayBlock = false
    /// The event holds its descriptor object by itself, not through the record.
    @usableFromInline var holdsObject = false
    /// Bytes of the current request.
    @usableFromInline var requested = 0
    /// Nanoseconds on the driver's clock, where latencies are recorded.
    @usableFromInline var submittedAt: Int64 = 0
    @usableFromInline var record: UnsafeMutablePointer<DescriptorRecord>?

    @usableFromInline
    init(generation: UInt32) { self.generation = generation }
}
