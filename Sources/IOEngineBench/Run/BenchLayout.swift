public import IOEngineCore
internal import SystemPackage

/// Writes a file from one end to the other, through the engine itself, and makes it durable.
public enum BenchLayout {
    /// What is laid out.
    public struct Order: Sendable {
        /// Bytes.
        @usableFromInline let extent: Int
        @usableFromInline let seed: UInt64
        @usableFromInline let gate: JobGate
        @usableFromInline let descriptor: IODescriptor

        init(_ plan: BenchPlan, _ target: BenchTarget, _ gate: JobGate) {
            extent = plan.extent
            seed = plan.seed
            self.gate = gate
            descriptor = target.file
        }
    }

    /// Large writes are kind to every device, and eight of them keep it busy.
    @inlinable static var chunk: Int { 1 << 20 }
    @inlinable static var depth: Int { 8 }

    /// Nil: done.
    @inlinable
    public static func run<D: IODriver & ~Copyable>(
        _ order: Order, _ makeDriver: @Sendable (Int) throws(IOError) -> D
    ) -> BenchError? {
        defer { order.gate.pass(.prepared) }
        do throws(IOError) {
            try write(order, makeDriver)
            return nil
        } catch {
            return BenchError(error)
        }
    }

    @inlinable
    static func write<D: IODriver & ~Copyable>(
        _ order: Order, _ makeDriver: @Sendable (Int) throws(IOError) -> D
    ) throws(IOError) {
        let pool = try IOBufferPool(count: depth, bufferCapacity: chunk)
        var loop = try IOLoop<NoCallback, D>(depth: depth, driver: try makeDriver(depth))
        var offset = 0
        while offset < order.extent, let buffer = pool.take() {
            submit(&loop, buffer, order, &offset)
        }
        var failure: IOError?
        while loop.inFlight > 0 {
            try wait(&loop)
            while let event = loop.next() {
                order.gate.count(1)
                if case .failure(let error) = event.result { failure = failure ?? error }
                if failure == nil, offset < order.extent {
                    submit(&loop, event.buffer, order, &offset)
                }
            }
        }
        if let failure { throw failure }
        _ = loop.submit(.sync(order.descriptor))
        while loop.inFlight > 0 {
            try wait(&loop)
            while let event = loop.next() { _ = try event.get() }
        }
    }

    @inlinable
    static func wait<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>
    ) throws(IOError) {
        if case .failed(let errno) = loop.wait(minimum: 1) { throw driverFailure(errno) }
    }

    @usableFromInline
    static func driverFailure(_ errno: Int32) -> IOError {
        IOError(operation: .event(.write), errno: Errno(rawValue: errno))
    }

    @inlinable
    static func submit<D: IODriver & ~Copyable>(
        _ loop: inout IOLoop<NoCallback, D>, _ buffer: consuming IOBuffer, _ order: Order,
        _ offset: inout Int
    ) {
        let length = min(chunk, order.extent - offset)
        BlockPattern.fill(&buffer, at: Int64(offset), seed: order.seed)
        _ = loop.submit(
            .write(order.descriptor, from: buffer, at: Int64(offset), range: 0..<length))
        offset += length
    }
}
