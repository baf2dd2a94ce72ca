extension IOLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// The most events in flight.
    @inlinable public var depth: Int { unsafe core.pointee.depth }

    /// Events accepted and not yet handed over.
    @inlinable public var inFlight: Int { unsafe core.pointee.inFlight }

    /// Whether a submission would be accepted: of any event, or, where bytes in flight are bounded,
    /// of a transfer of one byte. False while the loop takes nothing: once the driver is gone for
    /// good, and in a forked child.
    @inlinable public var hasRoom: Bool {
        unsafe core.pointee.freeCount > 0 && !core.pointee.isClosed
            && !core.pointee.life.pointee.isForked
            && (core.pointee.maximumBytes == .max || core.pointee.hasAnyBytes)
    }

    /// Now, on the driver's clock.
    @inlinable public var now: IOInstant { unsafe core.pointee.driver.now() }

    /// Ends a wait from another thread; outlives the loop.
    public var waker: IOWaker { unsafe core.pointee.driver.waker }

    /// What the loop and its driver counted so far.
    public var statistics: IOStatistics {
        var statistics = unsafe core.pointee.statistics
        statistics.systemCalls = unsafe core.pointee.driver.counters.systemCalls
        return statistics
    }

    /// The latencies, if they are recorded.
    public var latencies: IOLatencies? { unsafe core.pointee.latencies }

    /// Lets `body` look at the driver, for example at its capabilities.
    @inlinable
    public borrowing func withDriver<R: ~Copyable, E: Error>(
        _ body: (borrowing Driver) throws(E) -> R
    ) throws(E) -> R {
        try unsafe body(core.pointee.driver)
    }
}
