public import BasicContainers
public import SystemPackage

extension IOLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Hands a chain to the engine: each event begins only after the one before it has succeeded, and
    /// is cancelled if that failed. A read that ends at the end of the file has succeeded.
    ///
    /// Callbacks come in the order of the chain; only members that are cancelled or pass their
    /// deadline before they begin may be told earlier. A bad member, with a negative offset for
    /// example, is refused when its turn comes.
    ///
    /// All or none is taken. Slots of events that were given up and have not settled do not count:
    /// a chain that needs them is `tooLong`, because they may never come free. Costs two
    /// allocations for the tickets. The limits are each event's.
    @inlinable
    public mutating func submit(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) -> IOChainSubmission<Callback> {
        unsafe core.pointee.submit(chain: chain, limits)
    }

    /// Asks for an event to be stopped. Its callback still runs, once it has settled: with
    /// ECANCELED, or with success where it was done before. What it moved until then is in
    /// `transferred`; a cancelled write may have changed more of the file than that. The answer
    /// `tooLate` promises that the event ends as if nobody had asked.
    ///
    /// Source: `io_uring_enter(2)` IORING_OP_ASYNC_CANCEL; Linux AIO stops nothing that has begun.
    @discardableResult
    public mutating func cancel(_ ticket: IOTicket) -> IOCancellation {
        unsafe core.pointee.cancel(ticket)
    }

    /// Asks for every event of a descriptor to be stopped. Does not wait: run the loop.
    ///
    /// Events of another owner of the same number, such as a file that was opened after this one
    /// was closed, are left alone.
    ///
    /// - Returns: How many events there were.
    @discardableResult
    public mutating func cancelAll(_ descriptor: IODescriptor) -> Int {
        unsafe core.pointee.cancelAll(.object(descriptor))
    }

    /// Asks for every event of a plain descriptor to be stopped. Does not wait: run the loop.
    /// Events of an ``IODescriptor`` with the same number are left alone.
    ///
    /// - Returns: How many events there were.
    @discardableResult
    public mutating func cancelAll(_ descriptor: FileDescriptor) -> Int {
        unsafe core.pointee.cancelAll(.number(descriptor.rawValue))
    }

    /// Asks for every event in flight to be stopped.
    ///
    /// - Returns: How many events there were.
    @discardableResult
    public mutating func cancelAll() -> Int {
        unsafe core.pointee.cancelAll(.all)
    }

    /// Gives up everything that the driver still has: each event comes back with the next
    /// ``run(minimum:deadline:)`` or ``next()``, without its memory and `isSettled` false. Slots, memory
    /// and descriptors stay charged until the kernel lets go of them.
    public mutating func abandonAll() { unsafe core.pointee.abandonInFlight() }

    /// Events that were given up and whose requests have not settled yet. Each keeps its slot.
    public var unsettled: Int { unsafe core.pointee.abandonedCount }

    /// Bytes of these, counted only where bytes in flight are bounded. They stay charged; a
    /// transfer that does not fit beside them runs alone among the others.
    public var unsettledBytes: Int { unsafe core.pointee.abandonedBytes }

    /// What became of abandoned events since the last call. As many as the depth are kept; what
    /// settles beyond them is counted in ``IOStatistics/droppedSettlements``.
    public mutating func takeSettlements() -> [IOSettlement] {
        unsafe core.pointee.takeSettlements()
    }
}

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    @usableFromInline
    mutating func takeSettlements() -> [IOSettlement] {
        if settlements.isEmpty { return [] }
        let taken = settlements
        settlements = []
        return taken
    }
}
