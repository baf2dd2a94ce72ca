public import BasicContainers

/// Chains: events that begin one after the other.
extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Takes a whole chain in, or nothing.
    @inlinable
    mutating func submit(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits
    ) -> IOChainSubmission<Callback> {
        if unsafe isClosed || life.pointee.isForked { return .closed(chain) }
        if chain.count > usableSlots { return .tooLong(chain, limit: usableSlots) }
        guard chain.count <= freeCount, maximumBytes == .max || hasBytes(for: chain) else {
            return .full(chain)
        }
        let isLate = isPast(limits)
        let tickets = accept(chain: &chain, isLate: isLate)
        if !limits.isNone, !isLate { for ticket in tickets { limit(ticket.slot, limits) } }
        return .accepted(IOTickets(tickets))
    }

    /// Whether the chain's transfers fit below the bound on bytes together, or are alone.
    @usableFromInline
    func hasBytes(for chain: borrowing UniqueArray<IOEvent<Callback>>) -> Bool {
        if bytesInFlight == abandonedBytes { return true }
        var left = maximumBytes - bytesInFlight
        for i in 0..<chain.count {
            let bytes = chain[i].bytesToMove
            if bytes > left { return false }
            left -= bytes
        }
        return true
    }

    /// Starts the first event and holds the others; there is room for all.
    ///
    /// - Parameter isLate: Their deadline has passed: none is begun.
    @inlinable
    mutating func accept(
        chain: inout UniqueArray<IOEvent<Callback>>, isLate: Bool
    ) -> [IOTicket] {
        let count = chain.count
        // The last event into the last slot, and so on: taking from the end moves nothing.
        freeCount &-= count
        let first = freeCount
        for i in (0..<count).reversed() {
            let number = unsafe free[first &+ i]
            unsafe slots.event(number).initialize(to: chain.removeLast())
        }
        // The slots of those that follow: they may come free and be used anew while this goes on.
        var numbers: [UInt32] = []
        for i in 0..<count { numbers.append(unsafe free[first &+ i]) }
        var tickets: [IOTicket] = []
        if isLate { return numbers.map { enrolLate($0) } }
        for i in 0..<count {
            tickets.append(enrol(numbers[i], hold: i == 0 ? [] : .chain))
            if i > 0 { linkChain(numbers[i - 1], numbers[i]) }
        }
        return tickets
    }

    /// Lets `number` begin when `previous` has succeeded. Both were just accepted.
    @usableFromInline
    mutating func linkChain(_ previous: UInt32, _ number: UInt32) {
        let slot = unsafe slots.slot(number)
        unsafe policies[Int(previous)].chainNext = number + 1
        unsafe policies[Int(previous)].chainNextGeneration = slot.pointee.acceptedGeneration
        unsafe slots.event(previous).pointee.status.insert(.hasPolicy)
    }
}
