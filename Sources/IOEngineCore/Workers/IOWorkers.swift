internal import Glibc
internal import Synchronization
internal import SystemPackage

/// Threads that run callbacks, so that these do not hold up a loop. Several contexts can share them.
///
/// Order is not kept: callbacks of one context may run on several workers at once. A hand-over between
/// threads costs tens of microseconds on a busy machine; without workers a callback costs none, so
/// use them for callbacks that compute or block.
///
/// The workers end with the last context that uses them and the last reference to this object.
public final class IOWorkers: Sendable {
    @usableFromInline let pool: WorkerPool
    private let threads: [EngineThread]

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - count: Threads, at least 1.
    ///   - name: For `ps -L` and debuggers; cut to 15 bytes.
    ///
    /// Throws EINVAL for a count out of range, EAGAIN when there are no threads to be had.
    public init(count: Int, name: String = "io-worker") throws(IOError) {
        guard count >= 1, count <= 4096 else {
            throw IOError(
                operation: .setUp, length: count, errno: .invalidArgument,
                advice: "there must be 1 to 4096 workers")
        }
        let pool = WorkerPool()
        self.pool = pool
        var threads: [EngineThread] = []
        do throws(IOError) {
            for _ in 0..<count { threads.append(try EngineThread(name: name) { pool.work() }) }
        } catch {
            pool.stop(count: threads.count)
            for thread in threads { thread.join() }
            throw error
        }
        self.threads = threads
    }

    /// Workers without threads: tests run the callbacks in their place.
    init(threadless: Void) {
        pool = WorkerPool()
        threads = []
    }

    /// How many threads there are.
    public var count: Int { threads.count }

    deinit {
        // In a forked child there are no threads to end.
        if pool.isForked { return }
        pool.stop(count: threads.count)
        for thread in threads {
            // The last reference may go in a callback, on one of them.
            if EngineThread.isCurrentOurs { thread.detach() } else { thread.join() }
        }
    }
}

/// Something that has events for the workers.
@usableFromInline
protocol WorkerClient: AnyObject, Sendable {
    /// Runs the callback of one finished event. False: there is none.
    func runOne() -> Bool
}

/// What the worker threads share. A permit is posted for each event handed over, after it can be taken;
/// a worker with a permit therefore finds an event at one of the clients.
@safe @usableFromInline
final class WorkerPool: @unchecked Sendable {
    // Unchecked: the semaphore is made for several threads; everything else is guarded or atomic.
    private let permits: UnsafeMutablePointer<sem_t>
    private let clients = LockedValue<[any WorkerClient]>([])
    /// Changes with each client that comes or goes.
    private let version = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)
    private let life = OwnedLife()

    init() {
        unsafe permits = .allocate(capacity: 1)
        unsafe permits.initialize(to: sem_t())
        unsafe sem_init(permits, 0, 0)
    }

    deinit {
        unsafe sem_destroy(permits)
        unsafe permits.deallocate()
    }

    var isForked: Bool { life.isForked }

    func add(_ client: any WorkerClient) {
        clients.withLock { $0.append(client) }
        version.add(1, ordering: .releasing)
    }

    func remove(_ client: any WorkerClient) {
        clients.withLock { $0.removeAll { $0 === client } }
        version.add(1, ordering: .releasing)
    }

    /// One more event can be taken.
    @usableFromInline
    func post() { unsafe sem_post(permits) }

    func stop(count: Int) {
        isStopped.store(true, ordering: .releasing)
        for _ in 0..<count { post() }
    }

    /// Takes a permit if there is one, or one comes within a short look: a wake-up costs the loop a system
    /// call. False: there is none, sleep.
    private func takePermit(_ spin: inout IdleSpin) -> Bool {
        if unsafe sem_trywait(permits) == 0 { return true }
        guard spin.isWorthIt else { return false }
        let start = IOInstant.monotonic()
        repeat {
            for _ in 0..<32 {
                if unsafe sem_trywait(permits) == 0 {
                    spin.succeeded()
                    return true
                }
                ThreadFence.relax()
            }
        } while IOInstant.monotonic().nanoseconds(since: start) < spin.budget
        spin.failed()
        return false
    }

    /// The life of a worker.
    func work() {
        var known: [any WorkerClient] = []
        var seen = -1
        var turn = 0
        var spin = IdleSpin(.microseconds(20))
        while true {
            if !takePermit(&spin) {
                // A worker that sleeps keeps no context alive.
                known = []
                seen = -1
                let asleep = IOInstant.monotonic()
                while unsafe sem_wait(permits) != 0 {}
                spin.noteSleep(IOInstant.monotonic().nanoseconds(since: asleep))
            }
            var isDone = false
            while !isDone {
                let current = version.load(ordering: .acquiring)
                if current != seen {
                    seen = current
                    known = clients.withLock { $0 }
                }
                for offset in 0..<known.count where !isDone {
                    isDone = known[(turn + offset) % known.count].runOne()
                }
                // A callback has forked, and this is the child: what else is finished is the parent's.
                if isForked { return }
                turn += 1
                // No event: the permit was for the end.
                if !isDone, isStopped.load(ordering: .acquiring) { return }
                if !isDone { ThreadIdentity.yield() }
            }
        }
    }
}
