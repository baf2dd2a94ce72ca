import BasicContainers
import CLinux
import Glibc
import IOEngineCore
import IOEngineURing
import Synchronization
import SystemPackage

/// Waits for a child. Fails unless it ended with 0.
func expectEnd(of child: pid_t, _ what: String) {
    var status: Int32 = 0
    while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
    check(child > 0 && status == 0, "\(what): the child ended with status \(status)")
}

/// Whether this process has mapped a ring's queues.
private var hasRing: Bool {
    guard let file = unsafe fopen("/proc/self/maps", "r") else { return true }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 4096)
    while unsafe fgets(&line, 4096, file) != nil {
        if unsafe strstr(line, "io_uring") != nil { return true }
    }
    return false
}

/// A child that hangs is killed, which its parent sees, instead of keeping everybody waiting.
func boundTime() {
    // The engine's threads block it, and a child forked on one has that from it.
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGALRM)
    unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    alarm(20)
}

/// Does without a fork what the scenario does with one. What the Swift runtime does for the first thread that
/// comes along a way, it does under locks, and a child has them as they are at the fork: of 300 runs on a
/// busy machine six had a child that waited for one for ever.
private func warmUp(_ path: FilePath) throws {
    for (workers, asksInside) in [(0, false), (1, false), (0, true), (1, true)] {
        let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
        var configuration = IOContextConfiguration()
        if workers > 0 { configuration.workers = try IOWorkers(count: workers) }
        let context = try makeContext(configuration)
        var ticket: IOTicket?
        for i in 0..<50 {
            let event = IOEvent<ClosureCallback>.write(
                file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096,
                callback: ClosureCallback { [ticket] _, submitter in
                    _ = submitter.submit(.noOperation())
                    guard i == 40, asksInside, let ticket else { return }
                    askEverything(context, file, ticket, isDead: false)
                })
            if case .accepted(let given) = context.submit(event) { ticket = given }
        }
        if !asksInside {
            try context.drain()
            if let ticket { askEverything(context, file, ticket, isDead: false) }
        }
        context.shutdown()
    }
    try inChild(path)
}

/// Asks everything of a context in a child; it must answer at once.
private func askEverything(
    _ context: HelperContext, _ file: IODescriptor, _ ticket: IOTicket, isDead: Bool = true
) {
    func check(_ isRight: Bool, _ what: String) {
        if isDead { TestHelper.check(isRight, what) }
    }
    check(!hasRing, "the child has the ring's queues")
    if case .closed = context.submit(.noOperation()) {} else { check(false, "submit") }
    if case .closed = context.trySubmit(.noOperation()) {} else { check(false, "trySubmit") }
    var events = UniqueArray<IOEvent<ClosureCallback>>()
    events.append(.noOperation())
    check(context.trySubmit(contentsOf: &events).isEmpty, "trySubmit of a batch")
    context.submit(contentsOf: &events)
    let left = events.count
    check(left == 1, "submit of a batch")
    if case .closed = context.submit(chain: events) {} else { check(false, "submit of a chain") }
    let refused = SharedCount()
    // Runs here, up to where it would have to wait, which in a child it never does.
    Task.immediate {
        do throws(IOError) {
            _ = try await context.perform(.noOperation())
        } catch {
            if error.reason == .forked { refused.add() }
        }
    }
    check(refused.value == 1, "perform")
    check(context.cancel(ticket) == .unknown, "cancel")
    context.requestCancel(ticket)
    check(context.cancelAll() == 0, "cancelAll")
    check(context.cancelAll(file) == 0, "cancelAll of a file")
    // On the engine's own thread it is refused, which is as good.
    try? context.drain()
    _ = context.snapshot()
    if case .registered = context.register(file) { check(false, "register") }
    check(!context.forget(file.fileDescriptor), "forget")
    context.shutdown()
    check(context.shutdown(deadline: .monotonic()).unsettled == 0, "shutdown")
    if (try? context.close(file)) == nil { _ = try? file.close() }
    check(fcntl(file.rawValue, F_GETFD) < 0, "the child's descriptor is still open")
}

/// In a forked child a context is dead and touches nothing; the parent's goes on and loses nothing. A new
/// one works in the child.
func forkedContext(_ arguments: [String]) throws {
    let path = FilePath(arguments[0])
    try warmUp(path)
    let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
    // A child reads it before the parent may have written to it.
    check(ftruncate(file.rawValue, 4096) == 0, "a page for the child")
    let called = SharedCount()
    var configuration = IOContextConfiguration()
    configuration.workers = try IOWorkers(count: 1)
    var context: HelperContext? = try makeContext(configuration)
    var ticket: IOTicket?
    for round in 0..<20 {
        for i in 0..<50 {
            let event = IOEvent<ClosureCallback>.write(
                file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096,
                callback: ClosureCallback { _ in called.add() })
            if case .accepted(let given)? = context?.submit(event) { ticket = given }
        }
        let child = linux_fork()
        if child == 0 {
            boundTime()
            if let context, let ticket { askEverything(context, file, ticket) }
            context = nil
            configuration.workers = nil
            if round % 5 == 0 { try inChild(path) }
            _exit(unsafe failures == 0 ? 0 : 1)
        }
        expectEnd(of: child, "round \(round)")
    }
    try context?.drain()
    check(called.value == 1000, "\(called.value) of 1000 were called back in the parent")
    context?.shutdown()
}

/// A child may have contexts of its own.
private func inChild(_ path: FilePath) throws {
    let file = try IODescriptor.open(path, .readWrite)
    let own = try makeContext()
    let read = SharedCount()
    _ = own.submit(
        .read(
            file, into: IOBuffer(capacity: 4096), at: 0,
            callback: ClosureCallback { event in if event.transferred == 4096 { read.add() } }))
    try own.drain()
    check(read.value == 1, "a new context in the child reads")
    try own.close(file)
    own.shutdown()
}

/// A callback of a context forks, on the loop's thread or on a worker's. In the child it is the last thing
/// that the engine does, and when it returns, so does the process.
func forkedInside(_ arguments: [String]) throws {
    try warmUp(FilePath(arguments[0]))
    let file = try IODescriptor.open(
        FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
    for workers in [0, 1, 3] {
        let parent = getpid()
        let called = SharedCount()
        let forks = SharedCount()
        var configuration = IOContextConfiguration()
        if workers > 0 { configuration.workers = try IOWorkers(count: workers) }
        let context = try makeContext(configuration)
        var ticket: IOTicket?
        for i in 0..<400 {
            let event = IOEvent<ClosureCallback>.write(
                file, from: IOBuffer(zeroed: 4096), at: Int64(i % 8) * 4096,
                callback: ClosureCallback { [ticket] event, submitter in
                    if getpid() != parent { _exit(7) }
                    called.add()
                    guard i % 40 == 20, let ticket else { return }
                    let child = linux_fork()
                    if child != 0 {
                        forks.add()
                        return expectEnd(of: child, "event \(i), \(workers) workers")
                    }
                    boundTime()
                    if case .closed = submitter.submit(.noOperation()) {} else { _exit(3) }
                    if i % 80 == 20 { askEverything(context, file, ticket) }
                    if unsafe failures != 0 { _exit(1) }
                })
            if case .accepted(let given) = context.submit(event) { ticket = given }
        }
        context.shutdown()
        check(called.value == 400, "\(called.value) of 400 were called back in the parent")
        check(forks.value == 10, "\(forks.value) forks")
    }
}

/// A callback forks: the child's loop does nothing more, the parent's loses nothing.
func forkedLoop(_ arguments: [String]) throws {
    let file = try IODescriptor.open(
        FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
    let called = SharedCount()
    let parent = getpid()
    var loop = try IOLoop<ClosureCallback, URingDriver>(
        depth: 4, driver: try URingDriver(depth: 4))
    var ticket: IOTicket?
    for i in 0..<4 {
        let event = IOEvent<ClosureCallback>.write(
            file, from: IOBuffer(zeroed: 4096), at: Int64(i) * 4096,
            callback: ClosureCallback { event, submitter in
                if getpid() != parent { _exit(7) }
                called.add()
                if i != 0 { return }
                let child = linux_fork()
                if child == 0 {
                    boundTime()
                    if case .closed = submitter.submit(.noOperation()) {} else { _exit(3) }
                    return
                }
                expectEnd(of: child, "a callback")
                _ = submitter.submit(.read(file, into: IOBuffer(capacity: 4096), at: 0))
            })
        if case .accepted(let given) = loop.submit(event) { ticket = given }
    }
    // The child comes out of here, too.
    loop.run(minimum: 4)
    if getpid() != parent {
        check(!hasRing, "the child has the ring's queues")
        if case .closed = loop.submit(.noOperation()) {} else { check(false, "submit") }
        if case .failed = loop.wait(minimum: 1) {} else { check(false, "wait") }
        if case .failed = loop.run().outcome {} else { check(false, "run") }
        if loop.next() != nil { check(false, "next") }
        check(loop.forEachFinished { _ in .release } == 0, "forEachFinished")
        if let ticket { check(loop.cancel(ticket) == .unknown, "cancel") }
        check(loop.cancelAll() == 0, "cancelAll")
        loop.abandonAll()
        if case .registered = loop.register(file) { check(false, "register") }
        let pool = try IOBufferPool(count: 4, bufferCapacity: 4096)
        if case .registered = loop.register(pool) { check(false, "register of a pool") }
        loop.unregister(file)
        loop.forget(file.fileDescriptor)
        loop.drain()
        _ = loop.statistics
        _ = consume loop
        _exit(unsafe failures == 0 ? 0 : 1)
    }
    while loop.inFlight > 0 { loop.run() }
    check(called.value == 4, "\(called.value) of 4 were called back in the parent")
}

/// Who looks at an event where it lies forks: the child's loop shows nothing more, whatever the look says,
/// and holds nothing; the parent's goes on.
func forkedWhileLooking(_ arguments: [String]) throws {
    for goesRound in [true, false] {
        let file = try IODescriptor.open(
            FilePath(arguments[0]), .readWrite, options: [.create, .truncate])
        let parent = getpid()
        var loop = try IOLoop<NoCallback, URingDriver>(depth: 2, driver: try URingDriver(depth: 2))
        for _ in 0..<2 {
            check(
                loop.submit(.read(file, into: IOBuffer(capacity: 512), at: 0)).isAccepted, "a read")
        }
        var shown = 0
        while shown < 2 {
            _ = loop.wait(minimum: 2)
            loop.forEachFinished { event in
                shown += 1
                if getpid() != parent || shown > 1 { return .release }
                let child = linux_fork()
                if child == 0 {
                    boundTime()
                    event.restart()
                    return goesRound ? .submitAgain : .release
                }
                expectEnd(of: child, "a look, goes round: \(goesRound)")
                return .release
            }
            if getpid() != parent {
                check(shown == 1, "\(shown) shown in the child")
                check((try? file.close()) == true, "closed")
                check(fcntl(file.rawValue, F_GETFD) < 0, "still open")
                _exit(unsafe failures == 0 ? 0 : 1)
            }
        }
        check(loop.inFlight == 0, "all came back in the parent")
    }
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
            _ = context.submit(
                .write(
                    round % 2 == 0 ? file : direct, from: buffer, at: Int64(i) * 4096,
                    callback: ClosureCallback { event in
                        (event.transferred == 4096 ? right : wrong).add()
                    }))
        }
        _ = context.submit(
            .sync(
                direct,
                callback: ClosureCallback { event in (event.errno == nil ? right : wrong).add() }))
        try context.drain()
        for i in 0..<64 {
            _ = context.submit(
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

/// A process forks while its threads wait for descriptors to be closed. The child has their count, and
/// not the threads: those that wait in the child are woken all the same, and nothing waits for the others.
func forkedWhileClosing(_ arguments: [String]) throws {
    let path = FilePath(arguments[0])
    // Once without a fork, as in `warmUp`.
    _ = try closing(path, count: 1) { _, _ in }
    let files = try closing(path, count: 4) { loop, waiting in
        // They wait, or are about to: a fork at any moment must do no harm.
        for round in 0..<10 {
            usleep(useconds_t(round * 1000))
            let child = linux_fork()
            if child == 0 {
                boundTime()
                for _ in 0..<3 {
                    let own = try closing(path, count: 2) { _, _ in usleep(5000) }
                    check(own.allSatisfy { fcntl($0.rawValue, F_GETFD) < 0 }, "still open")
                }
                _exit(unsafe failures == 0 ? 0 : 1)
            }
            expectEnd(of: child, "round \(round)")
        }
    }
    check(files.allSatisfy { $0.isClosed }, "closed")
}

/// Closes files with writes in flight while threads wait for that; calls `body` before these settle.
private func closing(
    _ path: FilePath, count: Int,
    _ body: (inout HelperLoop<URingDriver>, [HelperThread]) throws -> Void
) throws -> [IODescriptor] {
    var loop = try makeLoop()
    var files: [IODescriptor] = []
    for _ in 0..<count {
        let file = try IODescriptor.open(path, .readWrite, options: [.create])
        check(
            loop.submit(.write(file, from: IOBuffer(zeroed: 4096), at: 0)).isAccepted, "a write")
        files.append(file)
    }
    let waiting = files.map { file in
        check((try? file.close()) == false, "closed under a write")
        return HelperThread { file.waitUntilClosed() }
    }
    try body(&loop, waiting)
    while loop.inFlight > 0 {
        _ = loop.wait(minimum: 1)
        while let event = loop.next() { _ = consume event }
    }
    // What is held a little longer is let go before the next wait.
    _ = loop.wait(minimum: 0)
    for thread in waiting { thread.join() }
    return files
}

/// A thread.
private final class HelperThread {
    private final class Body {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }

    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Body(body))
        let answer = unsafe pthread_create(
            &thread, nil,
            { argument in
                // Takes over the reference that `passRetained` made.
                unsafe Unmanaged<Body>.fromOpaque(argument.unsafelyUnwrapped)
                    .takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        check(answer == 0, "no thread")
    }

    func join() { pthread_join(thread, nil) }
}
