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

    /// Takes a slot out of the middle; the order of the others stays. Does nothing if it is not in.
    @usableFromInline
    mutating func remove(_ slot: UInt32) {
        var found = false
        for _ in 0..<count {
            let next = pop()
            if next == slot, !found { found = true } else { push(next) }
        }
    }
}
