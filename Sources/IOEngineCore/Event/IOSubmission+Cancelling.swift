public import BasicContainers

extension IOSubmission where Callback: ~Copyable {
    /// Calls back an event that was not accepted, so that its callback runs exactly once in any case.
    ///
    /// ```swift
    /// context.submit(event).orCancel()
    /// ```
    ///
    /// The callback then runs now, on this thread, with EAGAIN where there was no room and ECANCELED where the
    /// engine takes nothing any more, and with a submitter that takes nothing. So hold no lock that the
    /// callback takes; and a callback that submits again looks at its own errno first: one that submits
    /// after ECANCELED or EAGAIN, and calls this again, would call itself until the stack ends.
    ///
    /// - Returns: The ticket of an accepted event; nil: it was called back.
    @inlinable @discardableResult
    public consuming func orCancel() -> IOTicket? {
        switch consume self {
        case .accepted(let ticket): return ticket
        case .full(let event):
            event.completeRefused(.kernel(Errnos.again))
            return nil
        case .closed(let event):
            event.completeCancelled()
            return nil
        }
    }
}

extension IOChainSubmission where Callback: ~Copyable {
    /// Calls back the events of a chain that was not accepted, in order, as
    /// ``IOSubmission/orCancel()`` does: with EAGAIN where there was no room, ECANCELED where the engine takes
    /// nothing any more, and EINVAL where the chain is too long.
    ///
    /// - Returns: The tickets of an accepted chain; nil: its events were called back.
    @inlinable @discardableResult
    public consuming func orCancel() -> IOTickets? {
        switch consume self {
        case .accepted(let tickets): return tickets
        case .full(var events): events.completeRefused(.kernel(Errnos.again))
        case .closed(var events): events.completeRefused(.cancelled)
        case .tooLong(var events, _):
            events.completeRefused(IOFailure(errno: Errnos.invalidArgument, reason: .chainTooLong))
        }
        return nil
    }
}

extension UniqueArray where Element: ~Copyable {
    /// Calls back all events, in order.
    @usableFromInline
    mutating func completeRefused<Callback: IOCallback & ~Copyable>(
        _ failure: IOFailure
    ) where Element == IOEvent<Callback> {
        // Taking from the end moves nothing.
        var low = 0
        var high = count - 1
        while low < high {
            swapAt(low, high)
            low += 1
            high -= 1
        }
        while let event = popLast() { event.completeRefused(failure) }
    }
}
