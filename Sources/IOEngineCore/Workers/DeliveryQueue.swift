public import Synchronization

/// A bounded queue of non-copyable elements from one producer to any number of consumers. Takes no lock.
/// Cells and sequence numbers as in ``SubmissionQueue``; here the consumers claim.
///
/// Unchecked: cells are handed between threads by their sequence numbers.
@safe @frozen @usableFromInline
struct DeliveryQueue<Element: ~Copyable>: ~Copyable, @unchecked Sendable {
    @usableFromInline let mask: Int
    @usableFromInline let sequences: UnsafeMutablePointer<Atomic<Int>>
    @usableFromInline let elements: UnsafeMutablePointer<Element>
    /// Head and tail, 128 bytes apart.
    @usableFromInline let ends: UnsafeMutableRawPointer

    /// - Parameter capacity: Elements at most; rounded up to a power of two.
    @usableFromInline
    init(capacity wanted: Int) {
        var size = 2
        while size < wanted { size *= 2 }
        mask = size - 1
        unsafe sequences = .allocate(capacity: size)
        unsafe elements = .allocate(capacity: size)
        for i in 0..<size { unsafe (sequences + i).initialize(to: Atomic(i)) }
        unsafe ends = .allocate(byteCount: 256, alignment: 128)
        unsafe ends.initializeMemory(as: Atomic<Int>.self, to: Atomic(0))
        unsafe (ends + 128).initializeMemory(as: Int.self, to: 0)
    }

    @inlinable
    deinit {
        while pop() != nil {}
        unsafe sequences.deinitialize(count: mask + 1)
        unsafe sequences.deallocate()
        unsafe elements.deallocate()
        unsafe ends.deallocate()
    }

    @inlinable
    var head: UnsafeMutablePointer<Atomic<Int>> {
        unsafe ends.assumingMemoryBound(to: Atomic<Int>.self)
    }

    /// Puts an element in. The producer knows that there is room: it has no more elements out than the
    /// queue has cells.
    @inlinable
    func push(_ element: consuming Element) {
        let position = unsafe (ends + 128).load(as: Int.self)
        let sequence = unsafe sequences + (position & mask)
        // Only a consumer that has claimed the cell a lap ago and is moving its element out can still
        // be in the way, for a few instructions.
        if unsafe sequence.pointee.load(ordering: .acquiring) != position {
            unsafe waitForCell(sequence, position)
        }
        unsafe (elements + (position & mask)).initialize(to: element)
        // Release: pairs with the acquire in `pop`.
        unsafe sequence.pointee.store(position &+ 1, ordering: .releasing)
        unsafe (ends + 128).storeBytes(of: position &+ 1, as: Int.self)
    }

    /// Sleeps between looks, because a consumer of lower priority may need this thread's processor for its
    /// last instructions, which it does not get by `sched_yield(2)`.
    @usableFromInline
    func waitForCell(_ sequence: UnsafeMutablePointer<Atomic<Int>>, _ position: Int) {
        for _ in 0..<64 {
            if unsafe sequence.pointee.load(ordering: .acquiring) == position { return }
            ThreadFence.relax()
        }
        while unsafe sequence.pointee.load(ordering: .acquiring) != position {
            ThreadIdentity.sleep(nanoseconds: 20_000)
        }
    }

    /// Takes an element out, on any thread; nil: there is none.
    @inlinable
    func pop() -> Element? {
        var position = unsafe head.pointee.load(ordering: .relaxed)
        while true {
            let sequence = unsafe sequences[position & mask].load(ordering: .acquiring)
            let turn = sequence &- (position &+ 1)
            if turn < 0 { return nil }
            if turn > 0 {
                position = unsafe head.pointee.load(ordering: .relaxed)
                continue
            }
            let (exchanged, original) = unsafe head.pointee.weakCompareExchange(
                expected: position, desired: position &+ 1, ordering: .relaxed)
            if exchanged { break }
            position = original
        }
        let element = unsafe (elements + (position & mask)).move()
        // Release: pairs with the acquire in `push`, a lap later.
        unsafe sequences[position & mask].store(position &+ mask &+ 1, ordering: .releasing)
        return element
    }
}
