public import IOEngineCore
internal import SystemPackage

/// The driver over plain system calls on a pool of threads: it works everywhere, on every file.
///
/// A read of up to 128 KiB through the page cache is tried on the loop's own thread first, with
/// RWF_NOWAIT, so a hit costs no hop between threads; on file systems that keep their data in memory
/// so is everything of that size. All else goes to the pool: direct IO because RWF_NOWAIT waits for the
/// device there, writes because a frozen file system blocks them whatever their flags.
///
/// Threads start on demand and end when idle. The loop's thread waits for nothing but the deadline, the
/// waker and completions.
///
/// Dropped with requests in flight, it forgets those that were not begun and waits for the others.
@safe
public struct ThreadPoolDriver: IODriver, ~Copyable {
    let pool: HelperPool
    let depth: Int
    /// To be tried on this thread at the next `submit`.
    var attempts: RequestList
    /// What was done or refused on this thread.
    var finished: CompletionQueue
    /// Requests staged and not yet reaped.
    var inFlight = 0
    var systemCalls: UInt64 = 0
    private let setUp: String

    /// - Parameters:
    ///   - depth: Requests in flight at most: 1 to 65,536.
    ///   - configuration: How many threads.
    ///
    /// Throws EINVAL for a depth or a number of threads out of range. Starts no thread.
    public init(depth: Int, configuration: ThreadPoolConfiguration = .init()) throws(IOError) {
        let largest = Int(IOToken.largestSlot) + 1
        guard depth >= 1, depth <= largest else {
            throw IOError(
                operation: .setUp, errno: .invalidArgument,
                advice: "a queue depth of \(depth) is out of range; use 1 to \(largest)")
        }
        let threads = configuration.threads ?? min(depth, HelperPool.defaultLimit)
        guard threads >= 1, threads <= Self.maximumThreads else {
            throw IOError(
                operation: .setUp, errno: .invalidArgument,
                advice: "\(threads) threads are out of range; use 1 to \(Self.maximumThreads)")
        }
        self.depth = depth
        pool = HelperPool(
            depth: depth, limit: threads, name: "ioengine-pool",
            idleTime: configuration.idleTime)
        attempts = RequestList(capacity: depth)
        finished = CompletionQueue(capacity: depth)
        setUp =
            "at most \(threads) threads, not counting stuck ones, of which there may be "
            + "\(HelperPool.stuckLimit), started on demand, ended after \(configuration.idleTime) without work"
    }

    deinit { pool.close() }

    /// More than this is a mistake in a unit.
    private static let maximumThreads = 4096

    public var capabilities: IOCapabilities {
        IOCapabilities(
            name: "threads", depth: depth, maximumVectors: IOVector.maximumCount,
            makesSystemCalls: true,
            mayBlockCaller: [
                "on tmpfs, up to 128 KiB at pages that were swapped out"
            ],
            setUp: setUp)
    }

    public var counters: IODriverCounters {
        var counters = IODriverCounters()
        counters.systemCalls = systemCalls
        counters.stuckThreads = UInt64(pool.stuckCount)
        return counters
    }

    public var waker: IOWaker { IOWaker { [pool] in pool.wake() } }

    public func coarseNow() -> IOInstant { .coarseMonotonic() }

    /// Threads of the pool that are alive at this moment. For reports; takes a lock.
    public var threadCount: Int { pool.helperCount }
}
