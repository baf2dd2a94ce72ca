public import IOEngineCore
public import SystemPackage

/// An object in charge of a ``MockDriver``: the driver's calls arrive here, and what is not overridden
/// the driver does by itself.
///
/// For tests that a script does not suffice, of what stands on a driver: a conductor keeps a schedule,
/// finishes requests when and as it likes, and breaks the contract on purpose. Requests, files, clock
/// and journal stay the mock's; the conductor moves them along through the ``MockQueue``. It is called
/// on the driver's thread only, and kept alive by the driver.
///
/// ```swift
/// /// Answers the newest request first.
/// final class Backwards: MockConductor {
///     func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
///         queue.take()
///         while !queue.inFlight.isEmpty { queue.finish(at: queue.inFlight.count - 1) }
///         return .ready
///     }
/// }
/// let driver = device.makeDriver(depth: 4, conductor: Backwards())
/// ```
public protocol MockConductor: AnyObject {
    /// Default: takes the request in, if there is room.
    func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging
    /// Takes, finishes and delivers as it likes, and says how the wait ended. Default: ends what is
    /// staged as the script of the device says.
    func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome
    /// Default: stops what is not finished.
    func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation
    /// Default: tells of the device's own descriptors; others are EBADF unless
    /// ``MockDevice/setOtherDescriptors(_:)`` says something else.
    func inspect(_ descriptor: Int32, _ device: MockDevice) throws(Errno) -> IODescriptorFacts
}

extension MockConductor {
    public func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging {
        queue.stage(request)
    }

    public func submit(
        _ queue: MockQueue, minimum: Int, deadline: IOInstant?
    ) -> IOWaitOutcome {
        queue.submit(minimum: minimum, deadline: deadline)
    }

    public func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation {
        queue.cancel(token)
    }

    public func inspect(
        _ descriptor: Int32, _ device: MockDevice
    ) throws(Errno) -> IODescriptorFacts {
        try device.inspect(descriptor)
    }
}
