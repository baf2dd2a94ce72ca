internal import IOEngineCore
internal import SystemPackage

/// Moves bytes: each buffer takes a chunk from the source to the destination and then the next one,
/// all buffers at the same time.
struct CopyPipeline<Driver: IODriver & ~Copyable>: ~Copyable {
    private var loop: IOLoop<NoCallback, Driver>
    private let route: CopyRoute
    private var planner: ChunkPlanner
    private var ticker: CopyTicker?
    private(set) var bytesMoved: Int64 = 0
    private var bytesAtWriteBack: Int64 = 0

    /// Bytes after which the kernel is asked to write back, so that the device is busy from the
    /// beginning and the sync at the end is short.
    private static var writeBackInterval: Int64 { 16 << 20 }

    init(
        _ route: CopyRoute, _ plan: CopyPlan, _ onTick: ((CopyProgress) -> Void)?,
        driver makeDriver: (Int) throws(IOError) -> Driver
    ) throws(CopyError) {
        // All that may throw comes first: half of this cannot be destroyed.
        let total = onTick == nil ? 0 : try route.source.countData()
        let planner = ChunkPlanner(
            size: route.source.size, chunkSize: plan.blockSize, alignment: route.alignment)
        let depth = planner.concurrency(upTo: plan.depth)
        let loop = try CopyError.wrapEngine("The engine cannot be set up") { () throws(IOError) in
            try IOLoop<NoCallback, Driver>(depth: depth, driver: try makeDriver(depth))
        }
        route.interruption.wake(through: loop.waker)
        ticker = onTick.map { CopyTicker(total: total, start: loop.now, onTick: $0) }
        self.route = route
        self.planner = planner
        self.loop = loop
    }

    var driverName: String { loop.withDriver { $0.capabilities.name } }

    /// Copies all data. What is in flight when this throws ends with the pipeline.
    mutating func copy() throws(CopyError) {
        try startReads()
        while loop.inFlight > 0 {
            try wait(.copying)
            while let event = loop.next() {
                if event.action == .read {
                    try finishRead(event)
                } else {
                    try finishWrite(event)
                }
            }
        }
    }

    /// Makes what was copied durable.
    mutating func sync() throws(CopyError) {
        _ = loop.submit(.sync(route.destination))
        while loop.inFlight > 0 {
            try wait(.syncing)
            while let event = loop.next() {
                if case .failure(let error) = event.result {
                    throw CopyError("\(route.name) cannot be made durable", error)
                }
            }
        }
    }

    /// A read for each buffer.
    private mutating func startReads() throws(CopyError) {
        let count = loop.depth
        let pool = try CopyError.wrapEngine("There is no memory for the buffers") {
            () throws(IOError) in
            try IOBufferPool(
                count: count, bufferCapacity: planner.largestLength,
                alignment: route.memoryAlignment)
        }
        while let buffer = pool.take(), try readNext(into: buffer) {}
    }

    /// False: everything is read, or being read.
    @discardableResult
    private mutating func readNext(into buffer: consuming IOBuffer) throws(CopyError) -> Bool {
        guard let chunk = try planner.next(route.source) else { return false }
        let length = planner.lengthOfIO(for: chunk)
        _ = loop.submit(
            .read(route.source.file, into: buffer, at: chunk.offset, range: 0..<length))
        return true
    }

    private mutating func finishRead(_ event: consuming IOEvent<NoCallback>) throws(CopyError) {
        if case .failure(let error) = event.result {
            throw CopyError("\(route.source.path) cannot be read", error)
        }
        let offset = event.offset
        let length = event.length
        let found = event.transferred
        // An IO that was rounded up finds the file's end where it was, or the file has changed.
        guard found == min(Int64(length), route.source.size - offset) else {
            throw route.source.ended(at: offset + Int64(found))
        }
        var buffer = event.buffer
        if found < length {
            // Zeros up to a length that direct IO takes; the file is cut to its size at the end.
            buffer.resize(to: found)
            buffer.resize(to: length)
        }
        _ = loop.submit(.write(route.destination, from: buffer, at: offset, range: 0..<length))
    }

    private mutating func finishWrite(_ event: consuming IOEvent<NoCallback>) throws(CopyError) {
        if case .failure(let error) = event.result {
            throw CopyError("\(route.name) cannot be written", error)
        }
        bytesMoved += min(Int64(event.length), route.source.size - event.offset)
        if route.buffers, bytesMoved - bytesAtWriteBack >= Self.writeBackInterval {
            bytesAtWriteBack = bytesMoved
            WriteBack.start(route.destination)
        }
        try readNext(into: event.buffer)
    }

    /// Waits for something to finish, says how far it is, and ends when somebody wants that.
    private mutating func wait(_ phase: CopyProgress.Phase) throws(CopyError) {
        try route.interruption.check()
        if case .failed(let errno) = loop.wait(minimum: 1, deadline: ticker?.deadline) {
            throw CopyError("The engine cannot go on", Errno(rawValue: errno))
        }
        if ticker != nil { ticker?.tick(phase, done: bytesMoved, at: loop.now) }
        try route.interruption.check()
    }
}
