import IOEngineCore
import IOEngineMock
import SystemPackage

typealias DiskLoop = IOLoop<NoCallback, SimulatedDiskDriver>
typealias Event = IOEvent<NoCallback>

extension SimulatedDisk {
    func makeLoop(depth: Int = 32) throws -> DiskLoop {
        try DiskLoop(depth: depth, driver: makeDriver(depth: depth))
    }

    /// A disk on which requests take no time.
    static func quick(
        seed: UInt64 = 1, _ change: (inout Configuration) -> Void = { _ in }
    ) -> SimulatedDisk {
        var configuration = Configuration(seed: seed)
        configuration.removeLatency()
        change(&configuration)
        return SimulatedDisk(configuration)
    }
}

extension IOLoop where Callback == NoCallback, Driver: ~Copyable {
    /// Submits one event and waits for its end.
    mutating func finish(_ event: consuming Event) throws -> Event {
        guard case .accepted = submit(event) else { throw Errno.noBufferSpace }
        for _ in 0..<10_000 {
            if let event = next() { return event }
            if case .failed(let errno) = wait() { throw Errno(rawValue: errno) }
        }
        throw Errno.timedOut
    }

    /// Bytes moved by one event, thrown if it fails.
    mutating func moved(_ event: consuming Event) throws -> Int { try finish(event).get() }

    mutating func read(_ file: IODescriptor, _ count: Int, at offset: Int64) throws -> [UInt8] {
        let event = try finish(.read(file, into: IOBuffer(capacity: count), at: offset))
        _ = try event.get()
        return [UInt8](copying: event.buffer)
    }

    @discardableResult
    mutating func write(
        _ file: IODescriptor, _ bytes: [UInt8], at offset: Int64, flags: IOFlags = []
    ) throws -> Int {
        var event = Event.write(file, from: IOBuffer(copying: bytes), at: offset)
        event.flags = flags
        return try moved(event)
    }

    mutating func sync(_ file: IODescriptor, _ extent: IOSyncExtent = .data) throws {
        _ = try moved(.sync(file, extent))
    }

    /// Hands everything staged to the disk and waits for nothing.
    mutating func handOver() { _ = wait(minimum: 0) }
}

/// `count` times the same byte.
func filled(_ byte: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: byte, count: count) }

/// The errno of an error, to compare.
func errno<Result>(_ body: () throws -> Result) -> Errno? {
    do {
        _ = try body()
        return nil
    } catch let error as IOError {
        return error.errno
    } catch {
        return error as? Errno
    }
}

/// `#require` for what cannot be copied.
func unwrap<Value: ~Copyable>(_ value: consuming Value?) throws -> Value {
    switch consume value {
    case .some(let value): return value
    case .none: throw Errno.noData
    }
}
