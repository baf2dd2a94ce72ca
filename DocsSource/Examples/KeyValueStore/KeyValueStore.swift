public import IOEngineCore

/// A small store of numbers by number, kept safe by a write-ahead log. Generic over the driver: the same
/// code runs on io_uring and on a simulated disk, where its tests crash it at every point.
///
/// The log has the changes since the last checkpoint, the table has two places for checkpoints, used in
/// turn. A change is in force when its record in the log is safe; a checkpoint when its place in the
/// table is. Each record carries the number of the checkpoint that it comes after, so what is left in
/// the log from before a checkpoint does not count.
public struct KeyValueStore<Driver: IODriver & ~Copyable>: ~Copyable {
    private var loop: IOLoop<NoCallback, Driver>
    private let log: IODescriptor
    private let table: IODescriptor
    private var values: [UInt32: UInt64] = [:]
    /// The number of the checkpoint in force.
    private var checkpointNumber: UInt32 = 0
    private var logEnd: Int64 = 0
    private let skipped: SkippedSync?

    typealias Event = IOEvent<NoCallback>

    /// Opens the store and recovers it: what is in force is there.
    ///
    /// - Parameters:
    ///   - depth: Requests in flight at most.
    ///   - skipped: Leaves a sync out, to see a test find that.
    public static func open(
        _ driver: consuming Driver, depth: Int, log: IODescriptor, table: IODescriptor,
        skipping skipped: SkippedSync? = nil
    ) throws -> KeyValueStore {
        var store = KeyValueStore(
            try IOLoop(depth: depth, driver: driver), log, table, skipped)
        try store.recover()
        return store
    }

    private init(
        _ loop: consuming IOLoop<NoCallback, Driver>, _ log: IODescriptor, _ table: IODescriptor,
        _ skipped: SkippedSync?
    ) {
        self.loop = loop
        self.log = log
        self.table = table
        self.skipped = skipped
    }

    public func value(of key: UInt32) -> UInt64? { values[key] }

    /// All keys, sorted.
    public var keys: [UInt32] { values.keys.sorted() }

    /// Changes values. When this returns, a crash does not undo them; when it throws, it may.
    public mutating func set(_ changes: [(key: UInt32, value: UInt64)]) throws {
        if logEnd + Int64(changes.count * LogRecord.size) > KeyValueFormat.logSize {
            try checkpoint()
        }
        // The records may be written in any order: none counts until all before it do.
        for change in changes {
            let record = LogRecord(
                checkpoint: checkpointNumber, key: change.key, value: change.value)
            try submit(.write(log, from: IOBuffer(copying: record.bytes), at: logEnd))
            logEnd += Int64(LogRecord.size)
        }
        try settle()
        if skipped != .ofLog { try sync(log) }
        for change in changes { values[change.key] = change.value }
    }

    /// Writes all values to the table, so that the log can begin anew.
    public mutating func checkpoint() throws {
        let number = checkpointNumber + 1
        let bytes = TableImage(number: number, values: values).bytes
        try submit(
            .write(table, from: IOBuffer(copying: bytes), at: KeyValueFormat.place(of: number)))
        try settle()
        // Before this, the log must not be written over: it is all there is.
        if skipped != .ofTable { try sync(table) }
        checkpointNumber = number
        logEnd = 0
    }

    private mutating func recover() throws {
        let images = [
            try read(table, KeyValueFormat.tableSize, at: 0),
            try read(table, KeyValueFormat.tableSize, at: Int64(KeyValueFormat.tableSize)),
        ].compactMap { TableImage(bytes: $0) }
        if let image = images.max(by: { $0.number < $1.number }) {
            checkpointNumber = image.number
            values = image.values
        }
        let bytes = try read(log, Int(KeyValueFormat.logSize), at: 0)
        for start in stride(from: 0, to: bytes.count, by: LogRecord.size) {
            // The first that is not whole, or from before the checkpoint, ends the log.
            guard let record = LogRecord(bytes: bytes[start...]),
                record.checkpoint == checkpointNumber
            else { break }
            values[record.key] = record.value
        }
        // Behind the end there may be whole records, later ones than one that is lost. A new checkpoint
        // rules them out.
        try checkpoint()
    }

    // MARK: IO

    private mutating func submit(_ event: consuming Event) throws {
        while !loop.hasRoom { try finishSome() }
        guard case .accepted = loop.submit(event) else { throw KeyValueStoreError.closed }
    }

    /// Waits until nothing is in flight. Throws the first error.
    private mutating func settle() throws {
        while loop.inFlight > 0 { try finishSome() }
    }

    private mutating func finishSome() throws {
        if case .failed(let errno) = loop.wait() { throw KeyValueStoreError.failed(errno: errno) }
        while let event = loop.next() { _ = try event.get() }
    }

    private mutating func sync(_ file: IODescriptor) throws {
        try submit(.sync(file, .data))
        try settle()
    }

    private mutating func read(
        _ file: IODescriptor, _ count: Int, at offset: Int64
    ) throws -> [UInt8] {
        try submit(.read(file, into: IOBuffer(capacity: count), at: offset))
        while true {
            if case .failed(let errno) = loop.wait() {
                throw KeyValueStoreError.failed(errno: errno)
            }
            guard let event = loop.next() else { continue }
            _ = try event.get()
            return [UInt8](copying: event.buffer)
        }
    }
}

/// A sync that is left out.
public enum SkippedSync: Sendable {
    /// Changes are acknowledged before their records are safe.
    case ofLog
    /// The log is written over before the checkpoint is safe.
    case ofTable
}

public enum KeyValueStoreError: Error {
    /// The driver takes nothing any more.
    case closed
    case failed(errno: Int32)
}
