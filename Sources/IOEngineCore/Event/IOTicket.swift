/// Names an accepted event for as long as it lives, for example to cancel it. Valid at once, on any
/// thread, for the loop or context that returned it; a stale one names nothing.
@frozen
public struct IOTicket: Hashable, Sendable {
    /// The two upper bits tell where the event was accepted: straight into a slot (00), into a
    /// context's queue (10), or behind it by a callback (01).
    @usableFromInline let rawValue: UInt64

    @inlinable
    init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Accepted into a slot: its number, and the generation of its first request.
    @inlinable
    init(slot: UInt32, generation: UInt32) {
        rawValue = UInt64(generation) << 16 | UInt64(slot)
    }

    /// Accepted at a place in a context's queue.
    @inlinable
    init(queued position: Int) { rawValue = 1 << 63 | UInt64(position) }

    /// Accepted by a context from a callback, without a place in the queue.
    @inlinable
    init(parked sequence: UInt64) { rawValue = 1 << 62 | sequence }

    @inlinable var isOfSlot: Bool { rawValue >> 62 == 0 }

    /// The place in the queue; nil: it never had one.
    @inlinable
    var queuePosition: Int? {
        rawValue >> 63 == 1 ? Int(rawValue & ~(1 << 63)) : nil
    }

    /// The sequence of an event without a place in the queue; nil: it has one, or a slot.
    @inlinable
    var parkedSequence: UInt64? {
        rawValue >> 62 == 1 ? rawValue & ~(1 << 62) : nil
    }

    @inlinable var slot: UInt32 { UInt32(rawValue & 0xffff) }
    @inlinable var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 16) }
}
