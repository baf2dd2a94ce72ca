import IOEngineAIO
import IOEngineCore
import IOEngineThreads
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// The drivers that are compared, by name.
enum DriverName: String, CaseIterable, CustomTestStringConvertible {
    case uring, aio, threads

    var testDescription: String { rawValue }

    /// Those that this machine grants.
    static let available = allCases.filter { $0 != .uring || Parity.hasURing }

    /// Runs `body` with what makes a driver of this kind.
    func use(_ body: some DriverBody) throws {
        switch self {
        case .uring: try body.run { depth throws(IOError) in try URingDriver(depth: depth) }
        case .aio: try body.run { depth throws(IOError) in try AIODriver(depth: depth) }
        case .threads:
            try body.run { depth throws(IOError) in try ThreadPoolDriver(depth: depth) }
        }
    }
}

/// What is to be done on each driver.
protocol DriverBody {
    func run<Driver: IODriver & ~Copyable>(
        _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
    ) throws
}

/// Performs events one after the other, on a loop or on a context.
struct Runner<Driver: IODriver & ~Copyable>: ~Copyable {
    typealias Event = IOEvent<ClosureCallback>

    private var loop: IOLoop<ClosureCallback, Driver>?
    private let context: IOContext<ClosureCallback, Driver>?

    init(
        onContext: Bool, depth: Int = 8,
        _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
    ) throws {
        if onContext {
            loop = nil
            context = try IOContext(depth: depth) { () throws(IOError) in try make(depth) }
        } else {
            loop = try IOLoop(depth: depth, driver: try make(depth))
            context = nil
        }
    }

    /// Submits one event and waits for its end.
    mutating func perform(
        _ event: consuming Event, _ limits: IOLimits = .none
    ) throws -> Outcome {
        let outcome = LockedValue<Outcome?>(nil)
        let latch = Latch()
        let called = event.onCompletion { event in
            let end = event.outcome
            outcome.withLock { $0 = end }
            latch.countDown()
        }
        if let context {
            guard context.submit(called, limits).isAccepted else { throw Errno.noBufferSpace }
            try #require(latch.wait(), "the callback is missing")
        } else {
            guard loop?.submit(called, limits).isAccepted == true else {
                throw Errno.noBufferSpace
            }
            for _ in 0..<1000 where latch.remaining > 0 { _ = loop?.run() }
        }
        return try #require(outcome.withLock { $0 })
    }

    /// Clears the failed sync of a plain descriptor.
    mutating func clearSyncError(_ descriptor: FileDescriptor) {
        loop?.clearSyncError(descriptor)
        _ = context?.clearSyncError(descriptor)
    }
}
