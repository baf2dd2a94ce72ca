import BasicContainers
import IOEngine
import IOEngineCore
import IOEngineMerge
import IOEngineMock
import SystemPackage

/// Drivers, layers over them, and loops over both.
enum LoopOwners {
    static var all: [Owner] {
        drivers("uring") { try URingDriver(depth: $0) }
            + drivers("aio") { try AIODriver(depth: $0) }
            + drivers("threads") { try ThreadPoolDriver(depth: $0) }
            + drivers("system") { try SystemDriver(depth: $0) }
            + drivers("merging") { MergingDriver(try URingDriver(depth: $0)) }
            + drivers("delaying") {
                DelayingDriver(try URingDriver(depth: $0), by: .fixed(.zero), seed: 1)
            }
            + drivers("reordering") { ReorderingDriver(try URingDriver(depth: $0), seed: 1) }
            + drivers("faulty") {
                FaultyDriver(
                    try URingDriver(depth: $0),
                    faults: FaultInjector(seed: 1, [.moves(512, IOFault.transfers, .nth(1))]))
            }
            + drivers("recording") {
                RecordingDriver(
                    try URingDriver(depth: $0), recorder: TraceRecorder(limit: 100))
            }
            + [simulated, replaying]
    }

    /// A driver that was never used, a loop that was, one that ends with everything in flight, and one
    /// with every option.
    static func drivers<Driver: IODriver & ~Copyable>(
        _ name: String, _ make: @escaping (Int) throws -> Driver
    ) -> [Owner] {
        [
            Owner("\(name), unused driver") { _ in _ = try make(32) },
            Owner("\(name), unused loop") { _ in
                _ = try IOLoop<NoCallback, Driver>(depth: 32, driver: try make(32))
            },
            Owner("\(name), loop") { place in
                var loop = try IOLoop<ClosureCallback, Driver>(depth: 32, driver: try make(32))
                use(&loop, place)
                while loop.inFlight > 0 { loop.run() }
            },
            Owner("\(name), loop that ends with events in flight") { place in
                var loop = try IOLoop<ClosureCallback, Driver>(depth: 32, driver: try make(32))
                use(&loop, place)
            },
            Owner("\(name), loop with options") { place in
                let pool = try IOBufferPool(count: 8, bufferCapacity: 4096)
                var loop = try IOLoop<ClosureCallback, Driver>(
                    depth: 32, driver: try make(32), recordsLatencies: true,
                    maximumBytes: 1 << 20)
                _ = loop.register(pool)
                _ = loop.register(place.direct)
                for _ in 0..<2 {
                    if let buffer = pool.take() {
                        _ = loop.submit(.read(place.direct, into: buffer, at: 0))
                    }
                }
                use(&loop, place)
                while loop.inFlight > 0 { loop.run() }
            },
        ]
    }

    /// One of each kind of event, with closures, vectors, chains and limits.
    static func use<Driver: IODriver & ~Copyable>(
        _ loop: inout IOLoop<ClosureCallback, Driver>, _ place: Place
    ) {
        for event in 0..<4 as Range<Int64> {
            let box = Counted()
            _ = loop.submit(
                .write(
                    place.buffered, from: IOBuffer(zeroed: 4096), at: event * 4096,
                    callback: ClosureCallback { _ in box.count += 1 }))
        }
        var vectors = UniqueArray<IOBuffer>()
        for _ in 0..<3 { vectors.append(IOBuffer(capacity: 4096)) }
        _ = loop.submit(.read(place.buffered, into: vectors, at: 0))
        var chain = UniqueArray<IOEvent<ClosureCallback>>()
        chain.append(.write(place.buffered, from: IOBuffer(zeroed: 512), at: 0))
        chain.append(.sync(place.buffered, .data))
        _ = loop.submit(chain: chain)
        if case .accepted(let ticket) = loop.submit(
            .read(place.direct, into: IOBuffer(capacity: 4096), at: 0),
            IOLimits(deadline: loop.now.advanced(by: .seconds(30))))
        {
            loop.cancel(ticket)
        }
        // Refused, with an error that somebody makes words of.
        _ = loop.submit(
            .read(
                place.buffered, into: IOBuffer(capacity: 4096), at: -1,
                callback: ClosureCallback { event in _ = "\(event.result)" }))
    }

    /// Something that a callback keeps alive.
    private final class Counted: @unchecked Sendable {
        // Unchecked: a loop has one thread.
        var count = 0
    }

    private static var simulated: Owner {
        Owner("simulated disk, with files, faults and a crash") { _ in
            let disk = SimulatedDisk(.init(seed: 1))
            disk.setContents(of: "f", to: [UInt8](repeating: 1, count: 9000))
            disk.add(.fails(.ioError, IOFault.writes, .nth(1)))
            let file = try disk.open("f")
            var loop = try IOLoop<ClosureCallback, SimulatedDiskDriver>(
                depth: 8, driver: disk.makeDriver(depth: 8))
            for offset in 0..<4 as Range<Int64> {
                _ = loop.submit(.write(file, from: IOBuffer(zeroed: 4096), at: offset * 4096))
            }
            _ = loop.submit(.sync(file))
            loop.run(minimum: 5)
            _ = disk.crash().restart().contents(of: "f")
        }
    }

    private static var replaying: Owner {
        Owner("a trace, recorded and replayed") { _ in
            let disk = SimulatedDisk(.init(seed: 1))
            disk.setContents(of: "f", to: [UInt8](repeating: 1, count: 4096))
            let recorder = TraceRecorder(limit: 1000)
            func read<Driver: IODriver & ~Copyable>(_ driver: consuming Driver) throws {
                let file = try disk.open("f")
                var loop = try IOLoop<NoCallback, Driver>(depth: 4, driver: driver)
                _ = loop.submit(.read(file, into: IOBuffer(capacity: 4096), at: 0))
                _ = loop.wait()
                _ = loop.next()
            }
            try read(RecordingDriver(disk.makeDriver(depth: 4), recorder: recorder))
            try read(TraceReplay(recorder.trace).makeDriver())
        }
    }
}
