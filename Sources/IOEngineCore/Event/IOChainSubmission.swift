public import BasicContainers

/// What became of submitting a chain: events each of which begins only after the one before it has
/// succeeded, and is cancelled (ECANCELED) if that one failed, was cancelled or was handed over short.
///
/// All of the chain or none of it is taken. What is not taken comes back, uncalled and unchanged.
@frozen
public enum IOChainSubmission<Callback: IOCallback & ~Copyable>: ~Copyable, Sendable {
    /// The engine has all of it.
    case accepted(IOTickets)
    /// There is not enough room now. Let some events finish, then submit again.
    case full(UniqueArray<IOEvent<Callback>>)
    /// The engine takes nothing any more: it is shutting down.
    case closed(UniqueArray<IOEvent<Callback>>)
    /// It does not fit, however long one waits: a chain has at most as many events as `limit`. That
    /// is the depth, less the slots of events that were given up and have not settled; in a
    /// context, seen from other threads, the depth or the capacity of the queue, whichever is less.
    case tooLong(UniqueArray<IOEvent<Callback>>, limit: Int)

    /// Whether the engine has the chain.
    @inlinable
    public var isAccepted: Bool {
        switch self {
        case .accepted: true
        case .full: false
        case .closed: false
        case .tooLong: false
        }
    }
}

/// The tickets of events that were submitted together, in their order.
public struct IOTickets: RandomAccessCollection, Sendable {
    /// Tickets in a row, as a context's queue gives them, or each for itself.
    private enum Storage: Sendable {
        case queued(Range<Int>)
        case listed([IOTicket])
    }

    private let storage: Storage

    package init(queued positions: Range<Int>) { storage = .queued(positions) }
    @usableFromInline init(_ list: [IOTicket]) { storage = .listed(list) }

    public var startIndex: Int { 0 }
    public var endIndex: Int {
        switch storage {
        case .queued(let positions): positions.count
        case .listed(let list): list.count
        }
    }

    public subscript(position: Int) -> IOTicket {
        switch storage {
        case .queued(let positions):
            precondition(positions.indices.contains(positions.lowerBound + position))
            return IOTicket(queued: positions.lowerBound + position)
        case .listed(let list): return list[position]
        }
    }
}
