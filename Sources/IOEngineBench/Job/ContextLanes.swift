internal import IOEngineCore
internal import Synchronization

/// The lanes of one job, at addresses that stay. Owns them; the context has ended before they do.
@safe @usableFromInline
final class ContextLanes {
    @usableFromInline let lanes: UnsafeMutablePointer<ContextLane>
    @usableFromInline let count: Int
    private let order: JobOrder

    /// One lane where all callbacks run on one thread, which keeps a sequence sequential; else one for each
    /// event or submitter.
    @usableFromInline
    init(_ order: JobOrder) {
        let plan = order.plan
        self.order = order
        count = plan.submitters > 0 ? plan.submitters : plan.workers > 0 ? plan.depth : 1
        unsafe lanes = .allocate(capacity: count)
        let blocks = order.blocks
        for i in 0..<count {
            // A sequential lane has a part of its own, unless there are more lanes than blocks.
            let splits = !plan.workload.isRandom && blocks.count >= count
            let part =
                splits
                ? blocks.lowerBound + i * blocks.count / count..<blocks.lowerBound
                    + (i + 1) * blocks.count / count : blocks
            unsafe (lanes + i).initialize(
                to: ContextLane(
                    order,
                    offsets: OffsetSequence(
                        blocks: part, blockSize: plan.blockSize, isRandom: plan.workload.isRandom,
                        seed: plan.seed, job: order.number * count + i)))
        }
    }

    deinit {
        for i in 0..<count { _ = unsafe (lanes + i).move() }
        unsafe lanes.deallocate()
    }

    @usableFromInline
    func callback(_ lane: Int, submitsAgain: Bool) -> ContextCallback {
        unsafe ContextCallback(lane: lanes + lane % count, submitsAgain: submitsAgain)
    }

    @usableFromInline
    func stop() {
        for i in 0..<count { unsafe lanes[i].isStopping.store(true, ordering: .relaxed) }
    }

    @usableFromInline
    var finished: Int {
        (0..<count).reduce(0) { sum, i in
            unsafe sum + lanes[i].finished.load(ordering: .relaxed)
        }
    }

    @usableFromInline
    var failed: Int {
        (0..<count).reduce(0) { sum, i in unsafe sum + lanes[i].failed.load(ordering: .relaxed) }
    }

    @usableFromInline
    var firstError: String? { (0..<count).lazy.compactMap { unsafe self.lanes[$0].error }.first }
}
