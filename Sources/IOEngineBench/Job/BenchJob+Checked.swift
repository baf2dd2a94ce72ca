public import IOEngineCore
internal import SystemPackage

extension BenchJob {
    /// The careful circle: each finished event is taken out and looked at, and its buffer goes into
    /// a new event, which may read or write. For mixtures and for --verify.
    ///
    /// A block may be written twice at the same time: both write the same. It is read only after a
    /// write of it has ended, so what is read is whole.
    @inlinable
    static func measureChecked<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>, _ pool: IOBufferPool, _ order: JobOrder,
        _ checked: inout CheckedBlocks, _ result: inout JobResult
    ) {
        var clock = BenchClock(seconds: order.plan.runtimeSeconds)
        while let buffer = pool.take() {
            submitNext(&loop, buffer, order, &checked)
        }
        var handled = 0
        var driverErrno: Int32 = 0
        let errorsBefore = result.errors
        repeat {
            let before = handled
            for _ in 0..<clock.waits {
                if case .failed(let errno) = loop.wait(minimum: 1) { driverErrno = errno }
                // What is submitted anew and refused at once must not keep the clock waiting.
                var most = 2 &* loop.depth
                while most > 0, let event = loop.next() {
                    most &-= 1
                    handled &+= 1
                    inspect(event, order.plan, &checked, &result)
                    submitNext(&loop, event.buffer, order, &checked)
                }
            }
            order.gate.count(handled &- before)
        } while clock.goesOn() && driverErrno == 0
        let failed = Int(result.errors - errorsBefore)
        conclude(&result, clock, operations: handled - failed, driverErrno)
    }

    /// Makes the next event around a buffer.
    @inlinable
    static func submitNext<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>, _ buffer: consuming IOBuffer, _ order: JobOrder,
        _ checked: inout CheckedBlocks
    ) {
        let (offset, reads) = checked.next()
        if reads {
            _ = loop.submit(order.read(into: buffer, at: offset))
        } else {
            // A write sends what is valid: after a short read that would be too little.
            if order.plan.verify || buffer.count < buffer.capacity {
                BlockPattern.fill(&buffer, at: offset, seed: order.plan.seed)
            }
            _ = loop.submit(order.write(from: buffer, at: offset))
        }
    }

    /// Counts what went wrong with a finished event, and notes what it wrote.
    @usableFromInline
    static func inspect(
        _ event: borrowing IOEvent<NoCallback>, _ plan: BenchPlan, _ checked: inout CheckedBlocks,
        _ result: inout JobResult
    ) {
        if case .failure(let error) = event.result {
            result.note(error.description)
        } else if event.action == .write {
            checked.noteWritten(event.offset)
        } else if plan.verify,
            let mismatch = BlockPattern.mismatch(
                event.buffer, at: event.offset, length: plan.blockSize, seed: plan.seed)
        {
            result.note(mismatch)
        }
    }

    /// After the measured time: waits for what is in flight, then reads every block back that was
    /// written, at full depth.
    @inlinable
    static func readBack<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>, _ pool: IOBufferPool, _ order: JobOrder,
        _ checked: inout CheckedBlocks, _ result: inout JobResult
    ) {
        // Only when all writes have ended is it known which blocks there are to read.
        finish(&loop, order, &result, &checked) { _ in nil }
        guard order.plan.workload.writes else { return }
        var index = 0
        while let buffer = pool.take(), let offset = checked.writtenOffset(from: &index) {
            _ = loop.submit(order.read(into: buffer, at: offset))
        }
        finish(&loop, order, &result, &checked) { $0.writtenOffset(from: &index) }
    }

    /// Waits until nothing is in flight; each buffer that comes free reads where `next` says.
    @inlinable
    static func finish<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>, _ order: JobOrder, _ result: inout JobResult,
        _ checked: inout CheckedBlocks, next: (CheckedBlocks) -> Int64?
    ) {
        while loop.inFlight > 0 {
            if case .failed(let errno) = loop.wait(minimum: 1) {
                return noteFailure(errno, &result)
            }
            while let event = loop.next() {
                inspect(event, order.plan, &checked, &result)
                order.gate.count(1)
                if let offset = next(checked) {
                    _ = loop.submit(order.read(into: event.buffer, at: offset))
                }
            }
        }
    }

    @usableFromInline
    static func noteFailure(_ errno: Int32, _ result: inout JobResult) {
        result.note("the driver cannot go on: \(Errno(rawValue: errno))")
    }
}
