import Glibc
import IOEngineCore
import IOEngineMock
import SystemPackage

enum SpeedRun {
    typealias Event = IOEvent<NoCallback>

    /// Reads and writes of 4 KiB in turn, at random places of 64 MiB, 32 in flight, a sync now and then.
    static func milliseconds(operations: Int) throws -> Int64 {
        let start = ProcessorTime.now
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.open("f", options: .create, direct: true)
        var random = SimulationRandom(seed: 2)
        var loop = try IOLoop<NoCallback, SimulatedDiskDriver>(
            depth: 32, driver: disk.makeDriver(depth: 32))
        func offset() -> Int64 { Int64(random.below(16_384)) * 4096 }
        for i in 0..<32 {
            _ = loop.submit(
                i % 2 == 0
                    ? .read(file, into: IOBuffer(capacity: 4096), at: offset())
                    : .write(file, from: IOBuffer(zeroed: 4096), at: offset()))
        }
        var done = 0
        while done < operations {
            _ = loop.wait()
            done += loop.forEachFinished { event in
                event.restart(at: offset())
                return .submitAgain
            }
            if done % 4096 < 2, loop.hasRoom { _ = loop.submit(.sync(file)) }
        }
        return (ProcessorTime.now - start) / 1_000_000
    }

    /// One request at a time of 100 ms each, for a day.
    static func millisecondsOfADay() throws -> Int64 {
        let start = ProcessorTime.now
        var configuration = SimulatedDisk.Configuration(seed: 1)
        configuration.readLatency = .fixed(.milliseconds(100))
        let disk = SimulatedDisk(configuration)
        let file = try disk.open("f", options: .create)
        var loop = try IOLoop<NoCallback, SimulatedDiskDriver>(
            depth: 1, driver: disk.makeDriver(depth: 1))
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 64), at: 0))
        while disk.now < IOInstant(nanoseconds: 86_400_000_000_000) {
            _ = loop.wait()
            loop.forEachFinished { event in
                event.restart()
                return .submitAgain
            }
        }
        return (ProcessorTime.now - start) / 1_000_000
    }
}

/// CPU time of this thread, in nanoseconds: a busy machine does not change it much.
enum ProcessorTime {
    static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
