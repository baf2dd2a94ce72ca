public import IOEngineCore
public import Synchronization
internal import SystemPackage

/// What the callbacks of one circle of events share: where to go next, and what they counted. Lanes have
/// cache lines of their own; a lane's event is in one place at a time, so its numbers need no atomics
/// beyond being read while it runs.
@safe @frozen
public struct ContextLane: ~Copyable {
    @usableFromInline var offsets: OffsetSequence
    @usableFromInline let order: JobOrder
    @usableFromInline let finished = Atomic<Int>(0)
    @usableFromInline let failed = Atomic<Int>(0)
    @usableFromInline let isStopping = Atomic<Bool>(false)
    /// The words of the first failure.
    private let firstError = LockedValue<String?>(nil)

    init(_ order: JobOrder, offsets: OffsetSequence) {
        self.order = order
        self.offsets = offsets
    }

    /// Counts a failed event. Any thread. What was sent round just when the measurement ended finds
    /// its context closing and is cancelled: that is no failure.
    @usableFromInline
    func note(_ event: borrowing IOEvent<ContextCallback>) {
        if isStopping.load(ordering: .relaxed), event.errno == .canceled { return }
        failed.add(1, ordering: .relaxed)
        guard case .failure(let error) = event.result else { return }
        firstError.withLock { if $0 == nil { $0 = error.description } }
    }

    /// Counts an event of a lane whose callbacks run one after the other.
    @inlinable @inline(__always)
    func countAlone() {
        finished.store(finished.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    }

    var error: String? { firstError.withLock { $0 } }

    /// The next event of the circle around a buffer.
    @inlinable
    mutating func next(
        _ buffer: consuming IOBuffer, _ callback: ContextCallback
    ) -> IOEvent<ContextCallback> {
        let offset = offsets.nextOffset()
        let workload = order.plan.workload
        let reads = workload == .randrw ? offsets.nextRandom() & 1 == 0 : workload.reads
        if reads {
            return order.plan.registered == false
                ? .read(
                    order.descriptor.fileDescriptor, into: buffer, at: offset, callback: callback)
                : .read(order.descriptor, into: buffer, at: offset, callback: callback)
        }
        if buffer.count < buffer.capacity {
            BlockPattern.fill(&buffer, at: offset, seed: order.plan.seed)
        }
        return order.plan.registered == false
            ? .write(order.descriptor.fileDescriptor, from: buffer, at: offset, callback: callback)
            : .write(order.descriptor, from: buffer, at: offset, callback: callback)
    }
}

/// The callback that is measured in contexts: counts, and submits again if it is to.
@safe @frozen
public struct ContextCallback: IOCallback, @unchecked Sendable {
    // Unchecked: the lanes outlive the context, and one event of a lane runs at a time.
    @usableFromInline let lane: UnsafeMutablePointer<ContextLane>
    @usableFromInline let submitsAgain: Bool
    /// Reads and writes, half and half: each event is made anew.
    @usableFromInline let isMixed: Bool

    @usableFromInline
    init(lane: UnsafeMutablePointer<ContextLane>, submitsAgain: Bool) {
        unsafe self.lane = lane
        self.submitsAgain = submitsAgain
        isMixed = unsafe lane.pointee.order.plan.workload == .randrw
    }

    /// The fast circle: everything that only changes its offset.
    @inlinable
    public static func resubmits(_ event: inout IOEvent<ContextCallback>) -> Bool {
        guard let callback = event.callback, callback.submitsAgain, !callback.isMixed,
            unsafe !callback.lane.pointee.isStopping.load(ordering: .relaxed)
        else { return false }
        if event.errno != nil { unsafe callback.lane.pointee.note(event) }
        unsafe callback.lane.pointee.countAlone()
        event.restart(at: unsafe callback.lane.pointee.offsets.nextOffset())
        return true
    }

    @inlinable
    public consuming func call(
        _ event: consuming IOEvent<ContextCallback>,
        _ submitter: borrowing IOSubmitter<ContextCallback>
    ) {
        if event.errno != nil { unsafe lane.pointee.note(event) }
        guard submitsAgain else {
            unsafe lane.pointee.finished.add(1, ordering: .relaxed)
            return
        }
        unsafe lane.pointee.countAlone()
        if unsafe lane.pointee.isStopping.load(ordering: .relaxed) { return }
        if isMixed {
            _ = submitter.submit(unsafe lane.pointee.next(event.buffer, self))
            return
        }
        event.restart(at: unsafe lane.pointee.offsets.nextOffset())
        event.callback = self
        _ = submitter.submit(event)
    }
}
