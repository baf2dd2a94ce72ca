public import BasicContainers
public import IOEngineCore

/// Collects events for one file and direction and hands them over together, for producers who want to
/// decide themselves what may become one request.
///
/// A ``MergingDriver`` joins what is staged together. Events that are submitted one by one from
/// another thread may arrive one by one; a submitter hands them over as one batch:
///
/// ```swift
/// var log = MergeSubmitter<MyCallback>(maximumBytes: 128 << 10) { batch in
///     context.submit(contentsOf: &batch)
/// }
/// for record in records { log.add(record).orCancel() }
/// log.flush()
/// ```
///
/// A loop is lent for each call instead: ``add(_:into:)``, ``flush(into:)``.
///
/// What was added is handed over when the limit is reached, when an event of another file, direction
/// or flag comes, with ``flush()``, and when the submitter ends. What then cannot be handed over any
/// more gets ECANCELED through its callback, on the thread that drops the submitter.
///
/// One producer uses it. Costs no allocation once it has been full.
public struct MergeSubmitter<Callback: IOCallback & ~Copyable>: ~Copyable {
    /// Takes events from the front of a batch, as many as it can, and leaves the rest.
    public typealias HandOver = (inout UniqueArray<IOEvent<Callback>>) -> Void

    /// Bytes of one batch at most; an event that is larger by itself is a batch of its own.
    public let maximumBytes: Int
    /// Events of one batch at most.
    public let maximumEvents: Int
    /// Bytes that the events move which are collected now.
    public private(set) var bytes = 0

    private var batch = Batch<Callback>()
    private let handOver: HandOver?

    /// - Parameters:
    ///   - maximumBytes: When so much is collected it is handed over; at least 1. That of the merging
    ///     driver below, or a multiple.
    ///   - maximumEvents: The same for events; at least 1, and not more than fit into the queue that
    ///     takes them.
    ///   - handOver: Where batches go. Nil: only to loops, which ``add(_:into:)`` and
    ///     ``flush(into:)`` name.
    public init(
        maximumBytes: Int = 128 << 10, maximumEvents: Int = 256, handOver: HandOver? = nil
    ) {
        precondition(
            maximumBytes >= 1 && maximumEvents >= 1, "a batch has room for one event at least")
        self.maximumBytes = maximumBytes
        self.maximumEvents = maximumEvents
        self.handOver = handOver
    }

    deinit { batch.end(handOver) }

    /// Events that are collected now.
    public var count: Int { batch.events.count }

    /// Takes an event in, and hands over what is collected if it is time.
    ///
    /// - Returns: `full` with the event when there is no room for it because nobody takes what is
    ///   collected.
    public mutating func add(_ event: consuming IOEvent<Callback>) -> MergeAddition<Callback> {
        let handOver = self.handOver
        return add(event) { batch in handOver?(&batch) }
    }

    /// The same for events that go to a loop.
    public mutating func add<Driver: IODriver & ~Copyable>(
        _ event: consuming IOEvent<Callback>, into loop: inout IOLoop<Callback, Driver>
    ) -> MergeAddition<Callback> {
        add(event) { batch in Self.submit(&batch, into: &loop) }
    }

    /// Hands over what is collected.
    ///
    /// - Returns: How many events are left, because nobody took them.
    @discardableResult
    public mutating func flush() -> Int {
        let handOver = self.handOver
        return flush { batch in handOver?(&batch) }
    }

    /// The same to a loop.
    @discardableResult
    public mutating func flush<Driver: IODriver & ~Copyable>(
        into loop: inout IOLoop<Callback, Driver>
    ) -> Int {
        flush { batch in Self.submit(&batch, into: &loop) }
    }

    private mutating func add(
        _ event: consuming IOEvent<Callback>, _ handOver: HandOver
    ) -> MergeAddition<Callback> {
        let length = event.bytesToMove
        if count > 0,
            count >= maximumEvents || bytes >= maximumBytes || length > maximumBytes - bytes
                || !batch.kind.matches(event)
        {
            if flush(handOver) > 0 { return .full(event) }
        }
        if count == 0 { batch.kind = MergeKind(event) }
        bytes += length
        batch.events.append(event)
        if bytes >= maximumBytes || count >= maximumEvents { flush(handOver) }
        return .collected
    }

    @discardableResult
    private mutating func flush(_ handOver: HandOver) -> Int {
        if count == 0 { return 0 }
        handOver(&batch.events)
        bytes = 0
        for i in 0..<count { bytes += batch.events[i].bytesToMove }
        return count
    }

    /// Gives a loop as many events as it has room for.
    private static func submit<Driver: IODriver & ~Copyable>(
        _ events: inout UniqueArray<IOEvent<Callback>>, into loop: inout IOLoop<Callback, Driver>
    ) {
        var taken = 0
        // Each is taken out of its place, which an empty one takes; removing from the front would move
        // all the others each time.
        while taken < events.count, loop.hasRoom {
            var event = IOEvent<Callback>.noOperation()
            swap(&event, &events[taken])
            switch loop.submit(event) {
            case .accepted: taken += 1
            case .full(let back):
                events[taken] = back
                return events.removeSubrange(0..<taken)
            case .closed(let back):
                events[taken] = back
                return events.removeSubrange(0..<taken)
            }
        }
        events.removeSubrange(0..<taken)
    }
}

/// What became of adding an event to a ``MergeSubmitter``.
@frozen
public enum MergeAddition<Callback: IOCallback & ~Copyable>: ~Copyable {
    /// It is collected, or handed over already.
    case collected
    /// Nothing happened: what is collected could not be handed over, and there is no room beside it.
    case full(IOEvent<Callback>)

    /// Whether the submitter has the event.
    public var isCollected: Bool {
        switch self {
        case .collected: true
        case .full: false
        }
    }

    /// Calls back an event that was not collected, with ECANCELED: its callback runs now, on this thread.
    ///
    /// - Returns: Whether the submitter has the event.
    @discardableResult
    public consuming func orCancel() -> Bool {
        switch consume self {
        case .collected: return true
        case .full(let event):
            event.completeCancelled()
            return false
        }
    }
}

/// Events that are collected, at a place where they can be taken out when it ends.
private final class Batch<Callback: IOCallback & ~Copyable> {
    var events = UniqueArray<IOEvent<Callback>>()
    var kind = MergeKind()

    /// Hands over what it can, and ends the rest.
    func end(_ handOver: MergeSubmitter<Callback>.HandOver?) {
        if events.isEmpty { return }
        handOver?(&events)
        var rest = UniqueArray<IOEvent<Callback>>()
        swap(&rest, &events)
        while !rest.isEmpty { rest.remove(at: 0).completeCancelled() }
    }
}

/// What events of one batch have in common.
private struct MergeKind {
    var descriptor: Int32 = -1
    var isWrite = false
    var isTransfer = false
    var flags: IOFlags = []
    var priority: IOPriority = .inherited

    init() {}

    init<Callback: IOCallback & ~Copyable>(_ event: borrowing IOEvent<Callback>) {
        descriptor = event.descriptor
        isTransfer = event.action.isTransfer
        isWrite = event.action.isWrite
        flags = event.flags
        priority = event.priority
    }

    /// What moves no bytes has a batch of its own, so that it keeps its place among the others.
    func matches<Callback: IOCallback & ~Copyable>(_ event: borrowing IOEvent<Callback>) -> Bool {
        isTransfer && event.action.isTransfer && descriptor == event.descriptor
            && isWrite == event.action.isWrite && flags == event.flags
            && priority == event.priority
    }
}
