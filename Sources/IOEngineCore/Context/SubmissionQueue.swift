public import Synchronization

/// A bounded queue of non-copyable elements from any number of producers to one consumer. Takes no lock.
///
/// Each cell has a sequence number that says whose turn it is: `position` when it is free for the element
/// at that position, `position + 1` when that element lies in it, and `position + size` when it was taken
/// out again. A producer claims positions by moving `tail` on, then fills its cells; the consumer takes
/// them out in order of position. Closing sets a bit of `tail`, so that no position is claimed after it:
/// what was claimed before is still delivered.
///
/// Several positions in a row may never be free where producers of one keep claiming. So who waits for several
/// reserves the queue, another bit of `tail`: to everybody else it is full until the reservation is used.
///
/// Unchecked: cells are handed between threads by their sequence numbers; `head` and `removed` belong to
/// the consumer.
@safe @frozen @usableFromInline
struct SubmissionQueue<Element: ~Copyable>: ~Copyable, @unchecked Sendable {
    /// Elements at most; a power of two.
    @usableFromInline let capacity: Int
    @usableFromInline let mask: Int
    @usableFromInline let sequences: UnsafeMutablePointer<Atomic<Int>>
    @usableFromInline let elements: UnsafeMutablePointer<Element>
    /// By cell: taken out of the middle.
    @usableFromInline let removed: UnsafeMutablePointer<Bool>
    /// Head and tail, each with 128 bytes of its own, so that producers and consumer do not share a line.
    @usableFromInline let ends: UnsafeMutableRawPointer

    @inlinable static var closedBit: Int { 1 << 62 }
    @inlinable static var reservedBit: Int { 1 << 61 }
    @inlinable static var marks: Int { closedBit | reservedBit }

    /// What became of claiming positions.
    @frozen @usableFromInline
    enum Claim {
        /// From this position on; each must be filled at once.
        case position(Int)
        case full
        case closed
    }

    /// - Parameter capacity: At least 1; rounded up to a power of two.
    @usableFromInline
    init(capacity wanted: Int, firstPosition: Int = 0) {
        var size = 2
        while size < wanted { size *= 2 }
        capacity = size
        mask = size - 1
        unsafe sequences = .allocate(capacity: size)
        unsafe elements = .allocate(capacity: size)
        unsafe removed = .allocate(capacity: size)
        unsafe removed.initialize(repeating: false, count: size)
        for position in firstPosition..<firstPosition + size {
            unsafe (sequences + (position & mask)).initialize(to: Atomic(position))
        }
        unsafe ends = .allocate(byteCount: 256, alignment: 128)
        unsafe ends.initializeMemory(as: Atomic<Int>.self, to: Atomic(firstPosition))
        unsafe (ends + 128).initializeMemory(as: Int.self, to: firstPosition)
        unsafe (ends + 136).initializeMemory(as: Int.self, to: 0)
    }

    @inlinable
    deinit {
        // What was never taken out ends here; nobody is left to produce or to consume.
        var position = unsafe (ends + 128).load(as: Int.self)
        while unsafe sequences[position & mask].load(ordering: .acquiring) == position &+ 1 {
            if unsafe !removed[position & mask] {
                _ = unsafe (elements + (position & mask)).move()
            }
            position &+= 1
        }
        unsafe sequences.deinitialize(count: capacity)
        unsafe sequences.deallocate()
        unsafe elements.deallocate()
        unsafe removed.deallocate()
        unsafe ends.deallocate()
    }

    @inlinable
    var tail: UnsafeMutablePointer<Atomic<Int>> {
        unsafe ends.assumingMemoryBound(to: Atomic<Int>.self)
    }

    /// The consumer's: the first position not taken out.
    @inlinable
    var head: Int {
        get { unsafe (ends + 128).load(as: Int.self) }
        nonmutating set { unsafe (ends + 128).storeBytes(of: newValue, as: Int.self) }
    }

    /// The consumer's: how many cells are marked as removed.
    @inlinable
    var removedCount: Int {
        get { unsafe (ends + 136).load(as: Int.self) }
        nonmutating set { unsafe (ends + 136).storeBytes(of: newValue, as: Int.self) }
    }

    // MARK: Producers

    /// Claims `count` positions in a row, or none.
    @inlinable
    func claim(_ count: Int) -> Claim {
        var seen = unsafe tail.pointee.load(ordering: .relaxed)
        while true {
            if seen & SubmissionQueue.marks != 0 {
                return seen & SubmissionQueue.closedBit != 0 ? .closed : .full
            }
            // Cells come free in order, so the last one tells for all. Acquire: pairs with the
            // consumer's release in `free`, so its reading of the old element is over.
            let last = seen &+ count &- 1
            let turn = unsafe sequences[last & mask].load(ordering: .acquiring) &- last
            if turn < 0 || count > capacity { return .full }
            if turn > 0 {
                // Somebody was faster; `seen` is old.
                seen = unsafe tail.pointee.load(ordering: .relaxed)
                continue
            }
            let (exchanged, original) = unsafe tail.pointee.weakCompareExchange(
                expected: seen, desired: seen &+ count, ordering: .relaxed)
            if exchanged { return .position(seen) }
            seen = original
        }
    }

    /// Whether `claim` would not answer full.
    @usableFromInline
    func canClaim(_ count: Int) -> Bool {
        let seen = unsafe tail.pointee.load(ordering: .acquiring)
        if seen & SubmissionQueue.marks != 0 { return seen & SubmissionQueue.closedBit != 0 }
        let last = seen &+ count &- 1
        return unsafe sequences[last & mask].load(ordering: .acquiring) &- last >= 0
    }

    /// How many positions in a row could be claimed just now, at most `wanted`.
    @usableFromInline
    func claimable(_ wanted: Int) -> Int {
        let seen = unsafe tail.pointee.load(ordering: .acquiring)
        if seen & SubmissionQueue.marks != 0 { return 0 }
        // Cells come free in order, so those that are free are the first ones: bisected.
        var known = 0
        var tooMany = min(wanted, capacity) &+ 1
        while tooMany &- known > 1 {
            let middle = (known &+ tooMany) / 2
            let last = seen &+ middle &- 1
            if unsafe sequences[last & mask].load(ordering: .acquiring) &- last >= 0 {
                known = middle
            } else {
                tooMany = middle
            }
        }
        return known
    }

    /// Fills a claimed position.
    @inlinable
    func fill(_ position: Int, _ element: consuming Element) {
        unsafe (elements + (position & mask)).initialize(to: element)
        // Release: pairs with the consumer's acquire in `isFilled`.
        unsafe sequences[position & mask].store(position &+ 1, ordering: .releasing)
    }

    /// From now on nothing can be claimed. False: it was closed before.
    @usableFromInline
    func close() -> Bool {
        unsafe tail.pointee.bitwiseOr(
            SubmissionQueue.closedBit, ordering: .acquiringAndReleasing
        ).oldValue & SubmissionQueue.closedBit == 0
    }

    @inlinable
    var isClosed: Bool {
        unsafe tail.pointee.load(ordering: .acquiring) & SubmissionQueue.closedBit != 0
    }

    /// The next position to be claimed.
    @inlinable
    var end: Int { unsafe tail.pointee.load(ordering: .acquiring) & ~SubmissionQueue.marks }

    // MARK: Reservations

    /// Reserves the queue for the caller, who then claims by ``claimReserved(_:)``. False: it is reserved, or
    /// closed.
    @usableFromInline
    func reserve() -> Bool {
        unsafe tail.pointee.bitwiseOr(
            SubmissionQueue.reservedBit, ordering: .acquiringAndReleasing
        ).oldValue & SubmissionQueue.marks == 0
    }

    /// Whether `reserve` might succeed, or the queue is closed.
    var canReserve: Bool {
        let seen = unsafe tail.pointee.load(ordering: .acquiring)
        return seen & SubmissionQueue.reservedBit == 0 || seen & SubmissionQueue.closedBit != 0
    }

    /// Whether `claimReserved` would not answer full.
    func canClaimReserved(_ count: Int) -> Bool {
        let seen = unsafe tail.pointee.load(ordering: .acquiring)
        if seen & SubmissionQueue.closedBit != 0 { return true }
        let last = (seen & ~SubmissionQueue.marks) &+ count &- 1
        return unsafe sequences[last & mask].load(ordering: .acquiring) &- last >= 0
    }

    /// Claims `count` positions in a row, not more than the capacity, for whoever has reserved the queue, and
    /// ends the reservation. Full: it goes on.
    @usableFromInline
    func claimReserved(_ count: Int) -> Claim {
        var seen = unsafe tail.pointee.load(ordering: .relaxed)
        while true {
            if seen & SubmissionQueue.closedBit != 0 { return .closed }
            let first = seen & ~SubmissionQueue.marks
            let last = first &+ count &- 1
            // Acquire: as in `claim`.
            if unsafe sequences[last & mask].load(ordering: .acquiring) &- last < 0 { return .full }
            let (exchanged, original) = unsafe tail.pointee.weakCompareExchange(
                expected: seen, desired: first &+ count, ordering: .acquiringAndReleasing)
            if exchanged { return .position(first) }
            seen = original
        }
    }

    // MARK: The consumer

    @inlinable @inline(__always)
    func isFilled(_ position: Int) -> Bool {
        unsafe sequences[position & mask].load(ordering: .acquiring) == position &+ 1
    }

    /// Whether there is something to take out now. What was claimed and is not filled yet does not
    /// count, nor does what lies behind it.
    @inlinable @inline(__always)
    func isReady() -> Bool {
        if removedCount > 0 {
            unsafe SubmissionQueue.skipRemoved(ends, sequences, removed, capacity)
        }
        return isFilled(head)
    }

    /// The element at the head; only if `isReady()`.
    @inlinable
    var first: UnsafeMutablePointer<Element> { unsafe elements + (head & mask) }

    /// Takes the head out; only if `isReady()`.
    @inlinable
    func pop() -> Element {
        let element = unsafe (elements + (head & mask)).move()
        free()
        return element
    }

    /// Gives the head's cell to the producers' next lap. Release: pairs with the acquire in `claim`.
    @inlinable
    func free() {
        let position = head
        unsafe sequences[position & mask].store(position &+ capacity, ordering: .releasing)
        head = position &+ 1
    }

    /// Takes an element out of the middle, or nil: it is not there, or not there yet.
    @usableFromInline
    func remove(at position: Int) -> Element? {
        guard position >= head, position < end, isFilled(position),
            unsafe !removed[position & mask]
        else { return nil }
        unsafe removed[position & mask] = true
        removedCount += 1
        return unsafe (elements + (position & mask)).move()
    }

    /// The element at a position, if it is there.
    @usableFromInline
    func element(at position: Int) -> UnsafeMutablePointer<Element>? {
        guard position >= head, position < end, isFilled(position),
            unsafe !removed[position & mask]
        else { return nil }
        return unsafe elements + (position & mask)
    }

    /// Gives back the cells at the head whose elements were taken out of the middle.
    ///
    /// Takes the parts it needs: for a method, every look at the queue would first put a copy of it into
    /// memory.
    @usableFromInline
    static func skipRemoved(
        _ ends: UnsafeMutableRawPointer, _ sequences: UnsafeMutablePointer<Atomic<Int>>,
        _ removed: UnsafeMutablePointer<Bool>, _ capacity: Int
    ) {
        let numbers = unsafe (ends + 128).assumingMemoryBound(to: Int.self)
        while unsafe numbers[1] > 0 {
            let head = unsafe numbers[0]
            let cell = head & (capacity - 1)
            guard unsafe sequences[cell].load(ordering: .acquiring) == head &+ 1 && removed[cell]
            else { return }
            unsafe removed[cell] = false
            unsafe numbers[1] -= 1
            // Release: as in `free`.
            unsafe sequences[cell].store(head &+ capacity, ordering: .releasing)
            unsafe numbers[0] = head &+ 1
        }
    }
}
