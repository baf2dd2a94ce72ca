import Glibc
import IOEngineAIO
import IOEngineCore
import IOEngineThreads
import IOEngineURing
import SystemPackage

/// How many checks failed. Only the main thread uses it.
nonisolated(unsafe) var failures = 0

/// Prints what is not as it must be.
func check(_ isRight: Bool, _ what: @autoclosure () -> String) {
    if isRight { return }
    unsafe failures += 1
    print("failed: \(what())")
    // A forked child ends without doing this.
    fflush(nil)
}

typealias HelperLoop<Driver: IODriver & ~Copyable> = IOLoop<NoCallback, Driver>
typealias HelperEvent = IOEvent<NoCallback>

/// What became of an event.
struct End: CustomStringConvertible {
    var bytes: Int
    var error: IOError?
    var count: Int

    var description: String { error.map(\.description) ?? "\(bytes) bytes" }
}

/// Submits one event and waits for its end.
func perform<Driver: ~Copyable>(
    _ loop: inout HelperLoop<Driver>, _ event: consuming HelperEvent
) throws -> End {
    guard loop.submit(event).isAccepted else { throw Errno.noBufferSpace }
    while true {
        if let event = loop.next() {
            var error: IOError?
            if case .failure(let why) = event.result { error = why }
            return End(bytes: event.transferred, error: error, count: event.buffer.count)
        }
        if case .failed(let errno) = loop.wait(minimum: 1) { throw Errno(rawValue: errno) }
    }
}

func makeLoop(depth: Int = 4) throws -> HelperLoop<URingDriver> {
    try HelperLoop(depth: depth, driver: try URingDriver(depth: depth))
}

/// A scenario for every driver.
protocol Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws
}

extension Scenario {
    static func uring(_ arguments: [String]) throws {
        try run(arguments) { try URingDriver(depth: $0) }
    }

    static func aio(_ arguments: [String]) throws {
        try run(arguments) { try AIODriver(depth: $0) }
    }

    static func threads(_ arguments: [String]) throws {
        try run(arguments) { try ThreadPoolDriver(depth: $0) }
    }
}

/// Sets both limits: there is no way back.
func setLimit(_ resource: Int32, _ value: UInt) {
    set(resource, rlimit(rlim_cur: value, rlim_max: value))
}

/// Sets what applies, and leaves how far it may be raised again.
func setSoftLimit(_ resource: Int32, _ value: UInt) {
    var limit = limit(resource)
    limit.rlim_cur = value
    set(resource, limit)
}

func softLimit(_ resource: Int32) -> UInt { limit(resource).rlim_cur }

private func limit(_ resource: Int32) -> rlimit {
    var limit = rlimit()
    let answer = unsafe getrlimit(__rlimit_resource_t(UInt32(resource)), &limit)
    check(answer == 0, "getrlimit: errno \(errno)")
    return limit
}

private func set(_ resource: Int32, _ limit: rlimit) {
    var limit = limit
    let answer = unsafe setrlimit(__rlimit_resource_t(UInt32(resource)), &limit)
    check(answer == 0, "setrlimit: errno \(errno)")
}
