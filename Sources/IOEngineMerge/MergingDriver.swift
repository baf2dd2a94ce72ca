public import IOEngineCore

/// A layer over any driver that makes one request of many small neighbouring ones.
///
/// Nothing changes for who uses the loop but the driver's type:
///
/// ```swift
/// var loop = try IOLoop<MyCallback, MergingDriver<URingDriver>>(
///     depth: 32, driver: MergingDriver(try URingDriver(depth: 32)))
/// ```
///
/// ## For callers
/// What is staged between two waits is joined where it touches: the same descriptor, direction, flags
/// and priority, up to the limits of a ``MergePolicy``. Every event keeps its own result. If a joined
/// request fails, its parts are done again one by one, so an error hits only the event whose bytes are
/// at fault; if it ends early (the end of the file, a short transfer), each event gets what it would
/// have got alone. Nothing is copied but duplicates, gaps and very small pieces; see
/// ``MergeBuffer`` for what is joined with what.
///
/// An event that is on its way as a part of a joined request cannot be stopped: cancelling it answers
/// ``IOCancellation/tooLate``. Joined requests do not use registered memory, unless the parts' memory
/// lies in one piece.
///
/// Events in flight together have no order (as everywhere), but the layer adds no disorder of its own:
/// it hands down overlapping requests, one of them a write, in the order in which they were staged,
/// per descriptor. What has to be repeated goes down later than what came in the meantime.
///
/// ## For implementers
/// Works over every driver, also one without vectored requests, for which joined ones are copied.
/// The driver below sees at most as many requests as the layer; where they are joined, their tokens are
/// those of their first parts.
///
/// The clock is the base's. A base whose `submit` does not wait until a deadline makes the caller spin
/// while requests wait for neighbours.
public struct MergingDriver<Base: IODriver & ~Copyable>: IODriver, ~Copyable {
    // First: what is in flight must settle before the buffer's memory goes.
    @usableFromInline var base: Base
    @usableFromInline var buffer: MergeBuffer
    /// Requests that the base has.
    @usableFromInline var inBase = 0
    /// How often in a row the base took nothing although it had nothing.
    @usableFromInline var refusals = 0
    @usableFromInline let completions: FixedTable<IOCompletion>
    /// What the layer joins and how far.
    public let policy: MergePolicy

    /// - Parameters:
    ///   - base: Made on this thread. The layer's tables are made for its depth, about 250 bytes each
    ///     place.
    ///   - policy: What to join. Values out of range count as the nearest one in range.
    @inlinable
    public init(_ base: consuming Base, policy: MergePolicy = MergePolicy()) {
        let capabilities = base.capabilities
        let depth = min(max(capabilities.depth, 1), Int(IOToken.largestSlot) + 1)
        buffer = MergeBuffer(
            depth: depth, policy: policy, maximumVectors: capabilities.maximumVectors)
        completions = FixedTable(
            count: min(depth, MergeBuffer.mostAtOnce),
            repeating: IOCompletion(token: IOToken(rawValue: .max), result: 0))
        self.policy = policy
        self.base = base
    }

    /// What was counted so far.
    @inlinable public var statistics: MergeStatistics { buffer.statistics }

    /// Lets `body` look at the driver below.
    @inlinable
    public borrowing func withBase<R: ~Copyable, E: Error>(
        _ body: (borrowing Base) throws(E) -> R
    ) throws(E) -> R {
        try body(base)
    }
}
