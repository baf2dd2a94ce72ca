/// Names one request in flight. The driver hands it back with the completion, unchanged.
///
/// `slot` is below the queue depth and unique among the requests in flight, so drivers and layers may
/// index tables by it. `generation` changes each time the slot is used (it wraps at 2^32), so a stale
/// completion is recognised. Slots above `IOToken.largestSlot` never come from a loop: drivers use
/// them for entries of their own.
@frozen
public struct IOToken: Equatable, Hashable, Sendable {
    /// Both numbers in the 64 bits of user data that kernel interfaces carry, generation first.
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    @inlinable
    public init(slot: UInt32, generation: UInt32) {
        rawValue = UInt64(generation) << 32 | UInt64(slot)
    }

    @inlinable
    public var slot: UInt32 {
        get { UInt32(truncatingIfNeeded: rawValue) }
        set { self = IOToken(slot: newValue, generation: generation) }
    }

    @inlinable
    public var generation: UInt32 {
        get { UInt32(truncatingIfNeeded: rawValue >> 32) }
        set { self = IOToken(slot: slot, generation: newValue) }
    }

    /// The largest slot a loop ever uses: queue depths end at 65,536.
    @inlinable public static var largestSlot: UInt32 { 0xffff }
}
