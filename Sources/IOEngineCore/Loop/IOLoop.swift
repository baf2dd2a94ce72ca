public import SystemPackage

/// Drives one driver on the caller's own thread: events go in, finished events come out.
///
/// No threads, no locks, and after set-up no allocation. All policy lives here, the same for each
/// driver: short transfers continue, events larger than one request are split, EINTR and EAGAIN are
/// retried within bounds, bad input gets an error that helps, and every accepted event comes back
/// exactly once.
///
/// A loop belongs to the thread that made it, which must live as long as the loop (a pthread or the
/// main thread, not one of Swift's or Dispatch's pool: requests die with the thread that submitted
/// them). Waiting on another thread is a precondition failure, submitting there an assertion failure.
///
/// There are two ways to use it. Pull finished events, with the loop free between two calls:
///
/// ```swift
/// while let event = loop.next() { … }
/// ```
///
/// Or give each event a callback and let ``run(minimum:deadline:)`` call it.
///
/// When the loop ends it waits for everything in flight and runs the callbacks. For use from several
/// threads there is ``IOContext`` instead.
@safe
public struct IOLoop<Callback: IOCallback & ~Copyable, Driver: IODriver & ~Copyable>: ~Copyable {
    /// Allocated in `init`, freed in `deinit`; its address stays, and only this thread uses it.
    @usableFromInline let core: UnsafeMutablePointer<LoopCore<Callback, Driver>>

    /// - Parameters:
    ///   - depth: Events in flight at most: 1 to 65,536, and not more than the driver's own depth.
    ///     A slot costs about 250 bytes.
    ///   - driver: Made on this thread.
    ///   - recordsLatencies: Keep a histogram; costs two looks at the clock an event, and 70 KB.
    ///   - maximumBytes: Bytes in flight at most, over all transfers. An event above it runs alone.
    ///     Bytes of abandoned events count until their requests settle; an event that does not fit
    ///     beside them runs alone among the others.
    ///
    /// Throws EINVAL for a depth or bound out of range.
    @inlinable
    public init(
        depth: Int, driver: consuming Driver, recordsLatencies: Bool = false,
        maximumBytes: Int = .max
    ) throws(IOError) {
        var options = LoopCore<Callback, Driver>.Options()
        options.recordsLatencies = recordsLatencies
        options.maximumBytes = maximumBytes
        try self.init(depth: depth, driver: driver, options)
    }

    /// - Parameter firstGeneration: Lets tests begin shortly before the counter wraps.
    @inlinable
    package init(
        depth: Int, driver: consuming Driver, recordsLatencies: Bool, firstGeneration: UInt32
    ) throws(IOError) {
        var options = LoopCore<Callback, Driver>.Options()
        options.recordsLatencies = recordsLatencies
        options.firstGeneration = firstGeneration
        try self.init(depth: depth, driver: driver, options)
    }

    @inlinable
    init(
        depth: Int, driver: consuming Driver, _ options: LoopCore<Callback, Driver>.Options
    ) throws(IOError) {
        guard options.maximumBytes > 0 else {
            throw IOError(
                operation: .setUp, length: options.maximumBytes, errno: .invalidArgument,
                advice: "the bound on bytes in flight must be at least 1")
        }
        let capabilities = driver.capabilities
        let largest = min(capabilities.depth, Int(IOToken.largestSlot) + 1)
        guard depth >= 1, depth <= largest else {
            throw IOError(
                operation: .setUp, errno: .invalidArgument,
                advice: "a queue depth of \(depth) is out of range; "
                    + "use 1 to \(largest), which is what the driver \(capabilities.name) was made for"
            )
        }
        unsafe core = .allocate(capacity: 1)
        unsafe core.initialize(
            to: LoopCore(depth: depth, driver: driver, capabilities: capabilities, options))
    }

    @inlinable
    deinit {
        // In a forked child nothing of it may be touched, so it is left where it lies.
        if unsafe core.pointee.life.pointee.isForked { return }
        unsafe core.pointee.isClosed = true
        unsafe core.pointee.settleAll()
        // Moved out, because `deinitialize(count:)` may skip its `deinit`: see Architecture.
        _ = unsafe core.move()
        unsafe core.deallocate()
    }
}

@available(*, unavailable)
extension IOLoop: Sendable where Callback: ~Copyable, Driver: ~Copyable {}
