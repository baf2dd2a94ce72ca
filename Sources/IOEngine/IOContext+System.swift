public import IOEngineCore

/// A context over the best driver that works here.
public typealias SystemContext<Callback: IOCallback & ~Copyable> = IOContext<Callback, SystemDriver>

/// A loop over the best driver that works here.
public typealias SystemLoop<Callback: IOCallback & ~Copyable> = IOLoop<Callback, SystemDriver>

extension IOContext where Driver == SystemDriver, Callback: ~Copyable {
    /// Starts the thread, chooses a driver on it and waits until both are ready.
    ///
    /// - Parameters:
    ///   - depth: Events in flight at most: 1 to 65,536.
    ///   - configuration: Queue, workers, bounds.
    ///   - driver: Which driver is wanted, and how it is set up.
    ///   - onSettled: Called on the loop's thread when a request that had been given up has settled.
    ///
    /// Throws as ``SystemDriver/init(depth:configuration:)`` does, EINVAL for a depth or capacity out of
    /// range, EAGAIN when no thread is to be had.
    public convenience init(
        depth: Int, configuration: IOContextConfiguration = .init(),
        driver: SystemDriverConfiguration = .init(),
        onSettled: (@Sendable (IOSettlement) -> Void)? = nil
    ) throws(IOError) {
        try self.init(depth: depth, configuration: configuration, onSettled: onSettled) {
            () throws(IOError) in try SystemDriver(depth: depth, configuration: driver)
        }
    }
}
