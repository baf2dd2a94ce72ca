/// What an event waits for before it begins.
@frozen @usableFromInline
struct HoldReasons: OptionSet, Sendable {
    @usableFromInline let rawValue: UInt8
    @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Writes that were accepted before this sync.
    @inlinable static var barrier: Self { Self(rawValue: 1) }
    /// The event before it in its chain.
    @inlinable static var chain: Self { Self(rawValue: 2) }
    /// An append of the same file, which has its turn.
    @inlinable static var append: Self { Self(rawValue: 4) }
}

/// Why an event is stopped.
@frozen @usableFromInline
enum StopReason: UInt8, Sendable {
    case none
    case cancelled
    case deadline
}

/// What the loop keeps about an event that is more than a plain transfer: with limits, in a chain, held,
/// or stopped. Beside the slots, so that plain transfers do not touch it.
///
/// An entry is as new unless the event's status says `hasPolicy`; links to other slots are a slot's
/// number + 1, 0 for none.
@frozen @usableFromInline
struct SlotPolicy {
    /// Nanoseconds after being stopped at which the event is given up; `.max`: never.
    @usableFromInline var abandonAfter: Int64 = .max
    /// Bytes charged to the loop's bound.
    @usableFromInline var bytes = 0
    /// The event after it in its chain, and the generation with which that was accepted.
    @usableFromInline var chainNext: UInt32 = 0
    @usableFromInline var chainNextGeneration: UInt32 = 0
    /// The next in a descriptor's list of held syncs or held appends.
    @usableFromInline var heldNext: UInt32 = 0
    /// For a held sync: writes still to settle that were accepted after the held sync before it.
    @usableFromInline var writesBefore: Int32 = 0
    /// For a held sync: the record's epoch that it ended.
    @usableFromInline var epoch: UInt32 = 0
    @usableFromInline var holds: HoldReasons = []
    @usableFromInline var stop: StopReason = .none
    /// It has an append's turn, and hands it on.
    @usableFromInline var hasAppendTurn = false
    /// A drain waits for it.
    @usableFromInline var countsForDrain = false

    @inlinable init() {}
}
