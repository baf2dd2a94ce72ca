public import IOEngineCore
public import SystemPackage

/// An object that is in charge of a driver entirely: every call arrives here.
///
/// For tests that a script does not suffice, of what stands on a driver: an object can keep a schedule,
/// break the contract on purpose, and be looked at from outside. It is called on the driver's thread
/// only. Whoever wants less uses ``MockDevice``.
public protocol MockConductor: AnyObject, SendableMetatype {
    var capabilities: IOCapabilities { get }
    /// Default: none.
    var waker: IOWaker { get }
    /// The driver's clock. Default: CLOCK_MONOTONIC.
    var time: IOInstant { get }
    func stage(_ request: IORequest) -> IOStaging
    func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome
    func reap(into completions: inout OutputSpan<IOCompletion>)
    /// Default: too late.
    func cancel(_ token: IOToken) -> IOCancellation
    /// Default: nothing.
    func hasten()
    /// Default: asks the kernel.
    func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts
}

extension MockConductor {
    public var waker: IOWaker { .none }
    public var time: IOInstant { .monotonic() }
    public func cancel(_ token: IOToken) -> IOCancellation { .tooLate }
    public func hasten() {}

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        try IODescriptorFacts(of: descriptor)
    }
}

/// A driver that does what an object of the test's says, and nothing of its own.
public struct ConductedDriver<Conductor: MockConductor>: IODriver, ~Copyable {
    public let conductor: Conductor

    /// - Parameter conductor: In charge from now on; kept alive by the driver.
    public init(_ conductor: Conductor) { self.conductor = conductor }

    public var capabilities: IOCapabilities { conductor.capabilities }
    public var waker: IOWaker { conductor.waker }
    public func now() -> IOInstant { conductor.time }
    public mutating func stage(_ request: IORequest) -> IOStaging { conductor.stage(request) }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        conductor.submit(minimum: minimum, deadline: deadline)
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        conductor.reap(into: &completions)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation { conductor.cancel(token) }

    public mutating func hasten() { conductor.hasten() }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        try conductor.inspect(descriptor)
    }
}
