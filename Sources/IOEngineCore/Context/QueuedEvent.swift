/// An event that a context has accepted and its loop has not, with what belongs to its submission.
@frozen @usableFromInline
struct QueuedEvent<Callback: IOCallback & ~Copyable>: ~Copyable, Sendable {
    @usableFromInline var event: IOEvent<Callback>
    @usableFromInline var limits: IOLimits
    /// How many events of the same chain follow this one.
    @usableFromInline var followers: UInt32
    /// Whether it follows another in a chain.
    @usableFromInline var isFollower: Bool
    /// Asked to stop while it waited with its chain.
    @usableFromInline var stop: StopReason

    @inlinable
    init(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits, followers: UInt32 = 0,
        isFollower: Bool = false
    ) {
        self.event = event
        self.limits = limits
        self.followers = followers
        self.isFollower = isFollower
        stop = .none
    }

    @inlinable var isChained: Bool { followers > 0 || isFollower }
}

/// An event that a callback submitted while others were waiting for room: it goes behind those.
@frozen @usableFromInline
struct ParkedEvent<Callback: IOCallback & ~Copyable>: ~Copyable, Sendable {
    @usableFromInline var queued: QueuedEvent<Callback>
    /// What had a place in the queue below this one was accepted before.
    @usableFromInline var fence: Int
    /// Rises from one parked event to the next; its ticket.
    @usableFromInline var sequence: UInt64

    @inlinable
    init(_ queued: consuming QueuedEvent<Callback>, fence: Int, sequence: UInt64) {
        self.queued = queued
        self.fence = fence
        self.sequence = sequence
    }
}

/// A finished event on its way to the workers.
@frozen @usableFromInline
struct DeliveredEvent<Callback: IOCallback & ~Copyable>: ~Copyable, Sendable {
    @usableFromInline var event: IOEvent<Callback>
    /// Which of two counters tells that its callback has returned; see ``ContextShared``.
    @usableFromInline var phase: Int

    @inlinable
    init(_ event: consuming IOEvent<Callback>, phase: Int) {
        self.event = event
        self.phase = phase
    }
}
