import CLinux
import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage

/// In a forked child a context is dead and touches nothing; the parent's goes on and loses nothing.
func forkedContext(_ arguments: [String]) throws {
    let file = try IODescriptor.open(
        FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
    let called = SharedCount()
    var configuration = IOContextConfiguration()
    configuration.workers = try IOWorkers(count: 1)
    var context: HelperContext? = try makeContext(configuration)
    for round in 0..<20 {
        for i in 0..<50 {
            context?.submit(
                .write(
                    file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096,
                    callback: ClosureCallback { _ in called.add() }))
        }
        let child = linux_fork()
        if child == 0 {
            if case .closed = context?.submit(.noOperation()) {} else { check(false, "submit") }
            if case .closed = context?.trySubmit(.noOperation()) {
            } else {
                check(false, "trySubmit")
            }
            check(context?.cancelAll() == 0, "cancelAll")
            do { try context?.drain() } catch { check(false, "drain: \(error)") }
            _ = context?.snapshot()
            context?.shutdown()
            check(context?.shutdown(deadline: .monotonic()).unsettled == 0, "shutdown")
            context = nil
            _exit(unsafe failures == 0 ? 0 : 1)
        }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        check(child > 0 && status == 0, "the child of round \(round): status \(status)")
    }
    try context?.drain()
    check(called.value == 1000, "\(called.value) of 1000 were called back in the parent")
    context?.shutdown()
}

/// A callback forks: the child's loop does nothing more, the parent's loses nothing.
func forkedLoop(_ arguments: [String]) throws {
    let file = try IODescriptor.open(
        FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
    let called = SharedCount()
    let parent = getpid()
    var loop = try IOLoop<ClosureCallback, URingDriver>(
        depth: 4, driver: try URingDriver(depth: 4))
    for i in 0..<4 {
        _ = loop.submit(
            .write(
                file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096,
                callback: ClosureCallback { event, submitter in
                    called.add()
                    if i != 0 { return }
                    let child = linux_fork()
                    if child == 0 {
                        if case .closed = submitter.submit(.noOperation()) {} else { _exit(3) }
                        return
                    }
                    var status: Int32 = 0
                    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
                    check(status == 0, "the child ended with \(status)")
                    _ = submitter.submit(.read(file, into: IOBuffer(capacity: 4096), at: 0))
                }))
    }
    // The child comes out of here, too.
    loop.run(minimum: 4)
    if getpid() != parent {
        if case .closed = loop.submit(.noOperation()) {} else { _exit(4) }
        guard case .failed = loop.wait(minimum: 1) else { _exit(5) }
        if loop.next() != nil { _exit(6) }
        _ = consume loop
        _exit(0)
    }
    while loop.inFlight > 0 { loop.run() }
    check(called.value == 4, "\(called.value) of 4 were called back in the parent")
}

/// A signal each millisecond, without restart of system calls, while a context works: nothing changes,
/// and none of the engine's threads ever takes one.
func contextSignalStorm(_ arguments: [String]) throws {
    let path = FilePath(arguments[0])
    let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
    let direct = try IODescriptor.open(path, .readWrite, direct: true)
    var configuration = IOContextConfiguration()
    configuration.workers = try IOWorkers(count: 2)
    let context = try makeContext(configuration)
    startStorm()
    let right = SharedCount()
    let wrong = SharedCount()
    var given = 0
    for round in 0..<40 {
        for i in 0..<64 {
            var buffer = IOBuffer(zeroed: 4096)
            buffer[0] = UInt8(truncatingIfNeeded: i + round)
            context.submit(
                .write(
                    round % 2 == 0 ? file : direct, from: buffer, at: Int64(i) * 4096,
                    callback: ClosureCallback { event in
                        (event.transferred == 4096 ? right : wrong).add()
                    }))
        }
        context.submit(
            .sync(
                direct,
                callback: ClosureCallback { event in (event.errno == nil ? right : wrong).add() }))
        try context.drain()
        for i in 0..<64 {
            context.submit(
                .read(
                    round % 2 == 0 ? direct : file, into: IOBuffer(capacity: 4096),
                    at: Int64(i) * 4096,
                    callback: ClosureCallback { event in
                        let isRight =
                            event.transferred == 4096
                            && event.buffer[0] == UInt8(truncatingIfNeeded: i + round)
                        (isRight ? right : wrong).add()
                    }))
        }
        try context.drain()
        given += 129
    }
    context.shutdown()
    check(
        wrong.value == 0 && right.value == given, "\(wrong.value) wrong, \(right.value) of \(given)"
    )
}

private final class SharedCount: Sendable {
    private let count = Atomic<Int>(0)
    func add() { count.add(1, ordering: .relaxed) }
    var value: Int { count.load(ordering: .relaxed) }
}

private func makeContext(_ configuration: IOContextConfiguration) throws -> HelperContext {
    try makeContext(depth: 8, configuration)
}
