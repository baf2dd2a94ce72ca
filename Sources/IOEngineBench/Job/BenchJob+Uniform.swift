public import IOEngineCore
internal import Synchronization

extension BenchJob {
    /// The fast circle: every event does the same, only its offset changes, so no event is moved
    /// and nothing but local variables is touched.
    @inlinable
    static func measureUniform<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>, _ pool: IOBufferPool, _ order: JobOrder,
        _ result: inout JobResult
    ) {
        var offsets = order.makeOffsets()
        let writes = order.plan.workload.writes
        var clock = BenchClock(seconds: order.plan.runtimeSeconds)
        while let taken = pool.take() {
            let offset = offsets.nextOffset()
            if writes {
                var buffer = taken
                BlockPattern.fill(&buffer, at: offset, seed: order.plan.seed)
                _ = loop.submit(order.write(from: buffer, at: offset))
            } else {
                _ = loop.submit(order.read(into: taken, at: offset))
            }
        }
        var handled = 0
        var failed = 0
        var firstError: IOError?
        var driverErrno: Int32 = 0
        repeat {
            let before = handled
            for _ in 0..<clock.waits {
                if case .failed(let errno) = loop.wait(minimum: 1) { driverErrno = errno }
                handled &+= loop.forEachFinished { event in
                    if event.errno != nil { note(event, &failed, &firstError) }
                    event.restart(at: offsets.nextOffset())
                    return .submitAgain
                }
            }
            order.gate.count(handled &- before)
        } while clock.goesOn() && driverErrno == 0
        result.errors += UInt64(failed)
        if let firstError { result.firstError = firstError.description }
        conclude(&result, clock, operations: handled - failed, driverErrno)
    }

    /// Kept out of the circle.
    @usableFromInline
    static func note(
        _ event: borrowing IOEvent<NoCallback>, _ failed: inout Int, _ first: inout IOError?
    ) {
        failed &+= 1
        if first == nil, case .failure(let error) = event.result { first = error }
    }

    @usableFromInline
    static func conclude(
        _ result: inout JobResult, _ clock: BenchClock, operations: Int, _ driverErrno: Int32
    ) {
        result.operations = UInt64(operations)
        result.startNanoseconds = clock.start.nanoseconds
        result.elapsedNanoseconds = clock.elapsed
        if driverErrno != 0 { noteFailure(driverErrno, &result) }
    }
}

extension JobGate {
    /// Adds IOs to what the live line shows.
    @usableFromInline
    func count(_ operations: Int) {
        finished.add(UInt64(truncatingIfNeeded: operations), ordering: .relaxed)
    }
}
