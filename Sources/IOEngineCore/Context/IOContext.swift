public import Synchronization
public import SystemPackage

/// A loop on a thread of its own, usable from any thread. What most programs hold.
///
/// ```swift
/// let context = try IOContext<ClosureCallback, URingDriver>(depth: 64) {
///     () throws(IOError) in try URingDriver(depth: 64)
/// }
/// context.submit(
///     .read(file, into: IOBuffer(capacity: 4096), at: 0).onCompletion { event in
///         print(event.result)
///     }
/// ).orCancel()
/// ```
///
/// Callbacks run inline on the loop's thread, or on ``IOWorkers``. From its own thread a context takes
/// events straight into the loop; other threads go through a bounded queue, and pay for a wake-up only
/// if the loop sleeps. After set-up nothing is allocated for an event.
///
/// A context is also a `TaskExecutor`: with `Task(executorPreference: context)` code runs on the loop's
/// thread, between completions.
///
/// It ends with ``shutdown()``, or with its last reference, after everything accepted was called back.
public final class IOContext<Callback: IOCallback & ~Copyable, Driver: IODriver & ~Copyable>:
    TaskExecutor, Sendable
{
    @usableFromInline let shared: ContextShared<Callback>
    @usableFromInline let thread: EngineThread
    /// What the driver can do.
    public let capabilities: IOCapabilities
    /// The most events in flight.
    public let depth: Int

    /// Starts the thread, makes the driver on it and waits until both are ready.
    ///
    /// - Parameters:
    ///   - depth: Events in flight at most: 1 to 65,536, and not more than the driver's own depth.
    ///   - configuration: Queue, workers, bounds.
    ///   - onSettled: Called on the loop's thread when a request that had been given up has settled. Keep
    ///     it short.
    ///   - driver: Makes the driver; called once, on the loop's thread, which io_uring needs.
    ///
    /// Throws what `driver` throws, EINVAL for a depth or capacity out of range, EAGAIN when no thread
    /// is to be had.
    @inlinable
    public init(
        depth: Int, configuration: IOContextConfiguration = .init(),
        onSettled: (@Sendable (IOSettlement) -> Void)? = nil,
        driver make: @escaping @Sendable () throws(IOError) -> Driver
    ) throws(IOError) {
        let shared = try ContextShared<Callback>.make(depth: depth, configuration)
        let started = Reply<Result<IOCapabilities, IOError>>()
        let thread = try EngineThread(
            name: configuration.name, cpus: configuration.processors
        ) {
            guard
                let me = unsafe ContextLoop<Callback, Driver>.begin(
                    depth, shared, configuration, onSettled, make, started)
            else { return }
            unsafe ContextLoop.run(me)
            if shared.isForked { return }
            unsafe ContextLoop.end(me)
        }
        self.shared = shared
        self.thread = thread
        self.depth = depth
        let answer = started.wait() ?? .failure(IOError(operation: .setUp, errno: .canceled))
        do {
            capabilities = try answer.get()
        } catch {
            thread.join()
            throw error
        }
        // The executor's identity is this object's, which exists from here on.
        unsafe shared.introduce(UnownedTaskExecutor(ordinary: self))
    }

    deinit {
        // In a forked child nothing may be touched: everything belongs to the parent.
        if shared.isForked { return ContextShared<Callback>.leakForFork(shared) }
        shared.isAbandonedByOwner.store(true, ordering: .releasing)
        shared.beginShutdown(deadline: .max)
        if EngineThread.isCurrentOurs {
            // The last reference went in a callback: the thread finishes by itself.
            thread.detach()
        } else {
            thread.join()
        }
    }

    /// Whether the caller runs on the loop's thread: in a callback, or a job.
    @inlinable public var isOnLoop: Bool { shared.isOnLoop }
}

extension ContextShared where Callback: ~Copyable {
    @usableFromInline
    static func make(
        depth: Int, _ configuration: IOContextConfiguration
    ) throws(IOError) -> ContextShared {
        guard configuration.queueCapacity >= 1, configuration.queueCapacity <= 1 << 24 else {
            throw IOError(
                operation: .setUp, length: configuration.queueCapacity, errno: .invalidArgument,
                advice: "a queue holds 1 to 16,777,216 events")
        }
        let depth = max(1, min(depth, Int(IOToken.largestSlot) + 1))
        let deliveries =
            configuration.workers == nil
            ? 2 : deliveryRoom(depth: depth, configuration.queueCapacity)
        return ContextShared(capacity: configuration.queueCapacity, deliveries: deliveries)
    }

    /// Every event that can be accepted may be finished and on its way to the workers at once.
    @usableFromInline
    static func deliveryRoom(depth: Int, _ queueCapacity: Int) -> Int {
        2 * depth + 2 * queueCapacity
    }

    /// Keeps everything alive for ever.
    @usableFromInline
    static func leakForFork(_ shared: ContextShared) {
        _ = unsafe Unmanaged.passRetained(shared)
    }

    /// Lets jobs run on the loop under the identity of their executor.
    @usableFromInline
    func introduce(_ executor: UnownedTaskExecutor) {
        unsafe self.executor = executor
        hasExecutor.store(true, ordering: .releasing)
    }
}

extension ContextLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Makes driver and loop on their thread. Nil: it failed, and `started` says why.
    @inlinable
    static func begin(
        _ depth: Int, _ shared: ContextShared<Callback>, _ configuration: IOContextConfiguration,
        _ onSettled: (@Sendable (IOSettlement) -> Void)?, _ make: () throws(IOError) -> Driver,
        _ started: Reply<Result<IOCapabilities, IOError>>
    ) -> UnsafeMutablePointer<Self>? {
        do throws(IOError) {
            var options = LoopCore<Callback, Driver>.Options()
            options.servesContext = true
            options.recordsLatencies = configuration.recordsLatencies
            options.maximumBytes = configuration.maximumBytesInFlight
            let loop = try IOLoop<Callback, Driver>(depth: depth, driver: try make(), options)
            let capabilities = loop.withDriver { $0.capabilities }
            shared.waker = loop.waker
            let me = UnsafeMutablePointer<Self>.allocate(capacity: 1)
            unsafe me.initialize(
                to: ContextLoop(
                    loop: loop, shared: shared, workers: configuration.workers,
                    deliveryRoom: ContextShared<Callback>.deliveryRoom(
                        depth: depth, configuration.queueCapacity),
                    spin: IdleSpin(configuration.idleSpin), onSettled: onSettled))
            unsafe shared.loopSide = UnsafeMutableRawPointer(me)
            shared.thread.store(ThreadIdentity.current, ordering: .releasing)
            shared.runner = { $0.runDelivered() }
            shared.join(configuration.workers)
            started.give(.success(capabilities))
            return unsafe me
        } catch {
            started.give(.failure(error))
            return nil
        }
    }
}

extension ContextShared where Callback: ~Copyable {
    @usableFromInline
    func join(_ workers: IOWorkers?) { workers?.pool.add(self) }
}

extension IdleSpin {
    /// Spinning takes a processor away from whoever would bring work, where there is only one.
    @usableFromInline
    init(_ duration: Duration) {
        let nanoseconds = IOInstant(nanoseconds: 0).advanced(by: duration).nanoseconds
        self.init(maximum: ThreadIdentity.processors > 1 ? max(0, nanoseconds) : 0)
    }
}
