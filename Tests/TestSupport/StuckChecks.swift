public import IOEngineCore
internal import SystemPackage
internal import Testing

/// Writes to a frozen file system that were given up take no thread away from other files: whatever
/// is done on threads goes on, and all settles after the thaw.
///
/// - Parameters:
///   - threads: What the driver's limit is.
///   - make: A driver of that depth.
public func stuckWritesLeaveOthersAlone<Driver: IODriver & ~Copyable>(
    label: String, threads: Int, _ make: (Int) throws -> Driver
) throws {
    guard let frozen = try FrozenFile(label: label) else { return }
    var loop = try IOLoop<NoCallback, Driver>(depth: 64, driver: try make(64))
    do {
        try leaveOthersAlone(&loop, frozen, threads)
    } catch {
        // The loop waits for all of it when it ends.
        frozen.thaw()
        throw error
    }
}

private func leaveOthersAlone<Driver: ~Copyable>(
    _ loop: inout IOLoop<NoCallback, Driver>, _ frozen: FrozenFile, _ threads: Int
) throws {
    let rounds = 4
    let other = try openNew(TemporaryFolder.newPath("other"))
    for _ in 0..<rounds {
        // As many as there are threads, and as many again that wait behind them.
        for i in 0..<2 * threads {
            let limits = IOLimits(
                deadline: loop.now.advanced(by: .milliseconds(20)),
                abandonAfter: .milliseconds(5))
            let event = PulledEvent.write(
                frozen.file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096)
            let isAccepted = loop.submit(event, limits).isAccepted
            try #require(isAccepted)
        }
        var ended = 0
        while ended < 2 * threads {
            let end = loop.now.advanced(by: .seconds(20))
            let outcome = loop.wait(minimum: 1, deadline: end)
            try #require(outcome == .ready, "nobody gives up")
            while let event = loop.next() {
                let errno = event.errno
                #expect(errno == .timedOut)
                ended += 1
            }
        }
        try useOther(&loop, other)
    }
    let stuck = loop.withDriver { Int($0.counters.stuckThreads) }
    // Some are cancelled before a helper has begun them.
    #expect(stuck > threads && stuck <= 2 * rounds * threads, "\(stuck) are stuck")
    let unsettled = loop.unsettled
    #expect(unsettled == stuck)
    frozen.thaw()
    while loop.unsettled > 0 {
        let outcome = loop.wait(minimum: 0, deadline: nil)
        try #require(outcome == .ready)
        let hasEvent = loop.next() != nil
        #expect(!hasEvent, "each was called back before")
    }
    let settled = loop.takeSettlements()
    #expect(settled.count == stuck)
    #expect(settled.allSatisfy { $0.errno == nil && $0.transferred == 4096 })
    let left = loop.withDriver { $0.counters.stuckThreads }
    #expect(left == 0)
    try useOther(&loop, other)
}

/// Writes, syncs, allocates and reads another file, within a bound.
private func useOther<Driver: ~Copyable>(
    _ loop: inout IOLoop<NoCallback, Driver>, _ file: IODescriptor
) throws {
    func perform(_ event: consuming PulledEvent) throws {
        let isAccepted = loop.submit(event).isAccepted
        try #require(isAccepted)
        let end = loop.now.advanced(by: .seconds(20))
        while true {
            if let event = loop.next() {
                let errno = event.errno
                #expect(errno == nil)
                return
            }
            let outcome = loop.wait(minimum: 1, deadline: end)
            try #require(outcome == .ready, "another file waits for the frozen one")
        }
    }
    try perform(.write(file, from: IOBuffer(zeroed: 4096), at: 0))
    try perform(.sync(file))
    try perform(.allocate(file, at: 0, length: 8192))
    // Larger than what is tried on the loop's own thread.
    try perform(.read(file, into: IOBuffer(capacity: 1 << 20), at: 0))
}
