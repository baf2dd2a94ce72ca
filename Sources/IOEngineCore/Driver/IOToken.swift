/// Names one request in flight. The driver hands it back with the completion, unchanged.
///
/// `slot` is below the queue depth and unique among the requests in flight, so drivers and layers may
/// index tables by it. `generation` changes each time the slot is used (it wraps at 2^32), so a stale
/// completion is recognised. Slots above `IOToken.largestSlot` never come from a loop: drivers use
/// them for entries of their own.
@frozen
public struct IOToken: Equatable, Hashable, Sendable {
    public var slot: UInt32
    public var generation: UInt32

    /// The largest slot a loop ever uses: queue depths end at 65,536.
    @inlinable public static var largestSlot: UInt32 { 0xffff }

    @inlinable
    public init(slot: UInt32, generation: UInt32) {
        self.slot = slot
        self.generation = generation
    }

    /// From the 64 bits of user data that kernel interfaces carry.
    @inlinable
    public init(rawValue: UInt64) {
        slot = UInt32(truncatingIfNeeded: rawValue)
        generation = UInt32(truncatingIfNeeded: rawValue >> 32)
    }

    /// Both numbers in 64 bits, generation first.
    @inlinable
    public var rawValue: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}
