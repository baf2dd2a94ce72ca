import BasicContainers
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage
import TestSupport
import Testing

typealias TestContext = IOContext<ClosureCallback, URingDriver>
typealias TestEvent = IOEvent<ClosureCallback>

extension IOContext where Callback: ~Copyable, Driver == URingDriver {
    static func make(
        depth: Int = 8, _ configuration: IOContextConfiguration = .init(),
        onSettled: (@Sendable (IOSettlement) -> Void)? = nil
    ) throws -> IOContext {
        try IOContext(depth: depth, configuration: configuration, onSettled: onSettled) {
            () throws(IOError) in try URingDriver(depth: depth)
        }
    }
}

extension IOContext where Callback == ClosureCallback, Driver == URingDriver {
    /// Submits what must be accepted.
    @discardableResult
    func give(_ event: consuming TestEvent, _ limits: IOLimits = .none) throws -> IOTicket {
        let ticket = submit(event, limits).ticket
        return try #require(ticket, "the context takes events")
    }
}

extension IOContextConfiguration {
    /// Workers and queue of a test; 0 workers: callbacks run inline.
    static func with(
        workers: Int = 0, queueCapacity: Int = 256, name: String = "io-loop"
    ) throws -> IOContextConfiguration {
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = queueCapacity
        configuration.name = name
        if workers > 0 { configuration.workers = try IOWorkers(count: workers) }
        return configuration
    }
}

/// The outcomes of a number of events, in the order in which they were called back.
final class Outcomes: Sendable {
    private let list = LockedValue<[(Int, Outcome)]>([])
    let latch: Latch

    init(_ count: Int) { latch = Latch(count) }

    func add(_ number: Int, _ event: borrowing TestEvent) {
        let outcome = event.outcome
        list.withLock { $0.append((number, outcome)) }
        latch.countDown()
    }

    func callback(_ number: Int = 0) -> ClosureCallback {
        ClosureCallback { [self] event in add(number, event) }
    }

    /// Waits for all of them.
    func all() throws -> [(number: Int, outcome: Outcome)] {
        try #require(latch.wait(), "\(latch.remaining) callbacks are missing")
        return soFar
    }

    var soFar: [(number: Int, outcome: Outcome)] {
        list.withLock { $0.map { (number: $0.0, outcome: $0.1) } }
    }

    func numbers() throws -> [Int] { try all().map(\.number) }
}

/// Holds a context's loop up inside a callback until it is let go.
struct Blocked {
    let isIn = Latch()
    let letGo = Latch()

    init(_ context: TestContext) throws {
        let (isIn, letGo) = (isIn, letGo)
        try context.give(
            .noOperation(
                callback: ClosureCallback { _ in
                    isIn.countDown()
                    letGo.wait()
                }))
        try #require(isIn.wait())
    }

    func release() { letGo.countDown() }
}

extension IOSubmission where Callback: ~Copyable {
    var ticket: IOTicket? {
        switch self {
        case .accepted(let ticket): ticket
        case .full: nil
        case .closed: nil
        }
    }

    var name: String {
        switch self {
        case .accepted: "accepted"
        case .full: "full"
        case .closed: "closed"
        }
    }
}

extension IOChainSubmission where Callback: ~Copyable {
    var name: String {
        switch self {
        case .accepted: "accepted"
        case .full: "full"
        case .closed: "closed"
        case .tooLong(_, let limit): "too long for \(limit)"
        }
    }
}

/// A file that is new and empty, and has a name that no other test uses.
func newFile(direct: Bool = false) throws -> IODescriptor {
    try openNew(TemporaryFolder.newPath("context"), direct: direct)
}

/// Several events as one array.
func batch(_ count: Int, _ make: (Int) -> TestEvent) -> UniqueArray<TestEvent> {
    var events = UniqueArray<TestEvent>(minimumCapacity: count)
    for i in 0..<count { events.append(make(i)) }
    return events
}
