import BasicContainers
import IOEngine
import IOEngineCore
import IOEngineMerge
import IOEngineMock

/// Contexts, in every way in which they end.
enum ContextOwners {
    static var all: [Owner] {
        contexts("uring") { () throws(IOError) in try URingDriver(depth: 32) }
            + contexts("aio") { () throws(IOError) in try AIODriver(depth: 32) }
            + contexts("threads") { () throws(IOError) in try ThreadPoolDriver(depth: 32) }
            + contexts("merging") { () throws(IOError) in
                MergingDriver(try URingDriver(depth: 32))
            }
            + [refused]
    }

    static func contexts<Driver: IODriver & ~Copyable>(
        _ name: String, _ make: @escaping @Sendable () throws(IOError) -> Driver
    ) -> [Owner] {
        func owner(
            _ way: String,
            configured: @escaping (inout IOContextConfiguration) throws -> Void = {
                _ in
            }, _ end: @escaping (IOContext<ClosureCallback, Driver>) -> Void
        ) -> Owner {
            Owner("\(name), context \(way)") { place in
                var configuration = IOContextConfiguration()
                try configured(&configuration)
                let context = try IOContext<ClosureCallback, Driver>(
                    depth: 32, configuration: configuration, driver: make)
                use(context, place)
                end(context)
            }
        }
        return [
            owner("dropped") { _ in },
            owner("shut down") { $0.shutdown() },
            owner("shut down with a deadline") { $0.shutdown(deadline: .monotonic()) },
            owner("shut down in a callback") { context in
                _ = context.submit(
                    .noOperation(callback: ClosureCallback { _ in context.shutdown() }))
            },
            owner(
                "with workers", configured: { $0.workers = try IOWorkers(count: 2) },
                { $0.shutdown() }),
            owner(
                "with latencies and a bound on bytes",
                configured: {
                    $0.recordsLatencies = true
                    $0.maximumBytesInFlight = 16384
                }, { try? $0.drain() }),
        ]
    }

    private static func use<Driver: IODriver & ~Copyable>(
        _ context: IOContext<ClosureCallback, Driver>, _ place: Place
    ) {
        var batch = UniqueArray<IOEvent<ClosureCallback>>()
        for event in 0..<8 as Range<Int64> {
            batch.append(.write(place.buffered, from: IOBuffer(zeroed: 4096), at: event * 4096))
        }
        context.submit(contentsOf: &batch)
        var chain = UniqueArray<IOEvent<ClosureCallback>>()
        chain.append(.read(place.direct, into: IOBuffer(capacity: 4096), at: 0))
        chain.append(.sync(place.buffered))
        _ = context.submit(chain: chain)
        if case .accepted(let ticket) = context.submit(
            .read(
                place.direct, into: IOBuffer(capacity: 4096), at: 0,
                callback: ClosureCallback { event in _ = "\(event.result)" }))
        {
            context.cancel(ticket)
        }
        _ = context.snapshot()
    }

    /// One whose driver is not to be had.
    private static var refused: Owner {
        Owner("a context that is refused") { _ in
            _ = try? IOContext<ClosureCallback, URingDriver>(depth: 32) { () throws(IOError) in
                try URingDriver(depth: 0)
            }
            _ = try? IOContext<ClosureCallback, URingDriver>(depth: 64) { () throws(IOError) in
                try URingDriver(depth: 32)
            }
        }
    }
}
