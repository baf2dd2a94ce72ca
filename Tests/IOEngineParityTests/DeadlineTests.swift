import BasicContainers
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// A deadline that has passed before its event is submitted.
@Suite struct DeadlineTests {
    private struct Body: DriverBody {
        let onContext: Bool

        func run<Driver: IODriver & ~Copyable>(
            _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
        ) throws {
            let file = try openNew(TemporaryFolder.newPath("deadline"))
            _ = try file.fileDescriptor.writeAll(pattern(4096))
            var runner = try Runner(onContext: onContext, make)
            let past = IOInstant.monotonic().advanced(by: .milliseconds(-1))
            for deadline in [past, IOInstant(nanoseconds: 0), IOInstant(nanoseconds: .min)] {
                let limits = IOLimits(deadline: deadline)
                let outcomes = [
                    try runner.perform(.write(file, from: IOBuffer(zeroed: 4096), at: 0), limits),
                    try runner.perform(.read(file, into: IOBuffer(capacity: 64), at: 0), limits),
                    try runner.perform(.sync(file), limits),
                    try runner.perform(.allocate(file, at: 0, length: 1 << 20), limits),
                    try runner.perform(.noOperation(), limits),
                ]
                for outcome in outcomes {
                    #expect(outcome.errno == .timedOut && outcome.reason == .deadlinePassed)
                    #expect(outcome.transferred == 0 && outcome.isDone && outcome.isSettled)
                }
            }
            let size = try file.fileDescriptor.seek(offset: 0, from: .end)
            #expect(size == 4096, "nothing was allocated")
            let far = IOLimits(deadline: .monotonic().advanced(by: .seconds(600)))
            let read = try runner.perform(
                .read(file, into: IOBuffer(capacity: 4096), at: 0), far)
            #expect(read.bytes == 4096)
            let found = try file.fileDescriptor.read(fromAbsoluteOffset: 0, 8)
            #expect(found == Array(pattern(8)), "nothing was written")
        }
    }

    @Test(
        "what is submitted after its deadline is not begun", arguments: DriverName.available,
        [false, true])
    func isNotBegun(_ driver: DriverName, onContext: Bool) throws {
        try driver.use(Body(onContext: onContext))
    }
}

extension FileDescriptor {
    /// Up to `count` bytes.
    fileprivate func read(fromAbsoluteOffset offset: Int64, _ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let moved = try unsafe bytes.withUnsafeMutableBytes {
            unsafe try read(fromAbsoluteOffset: offset, into: $0)
        }
        return Array(bytes[..<moved])
    }
}
