internal import Glibc
public import IOEngineAIO
internal import IOEngineCore
public import IOEngineThreads
public import IOEngineURing
public import Logging
internal import SystemPackage

/// How ``SystemDriver`` chooses, and how the drivers are set up.
public struct SystemDriverConfiguration: Sendable {
    /// The environment variable that says which driver is wanted: auto, uring, aio or threads.
    public static let environmentVariable = "IOENGINE_DRIVER"

    /// Nil: what the environment variable says, and the best driver that works where it says nothing.
    public var choice: DriverChoice?
    public var uring: URingConfiguration
    public var aio: AIOConfiguration
    public var threads: ThreadPoolConfiguration
    /// Hears of each decision, once a process; nil: nobody.
    public var logger: Logger?
    /// Is given each driver's report, on the thread that makes the driver.
    public var onChoice: (@Sendable (DriverReport) -> Void)?

    public init(
        choice: DriverChoice? = nil, uring: URingConfiguration = .init(),
        aio: AIOConfiguration = .init(), threads: ThreadPoolConfiguration = .init(),
        logger: Logger? = Logger(label: "ioengine"),
        onChoice: (@Sendable (DriverReport) -> Void)? = nil
    ) {
        self.choice = choice
        self.uring = uring
        self.aio = aio
        self.threads = threads
        self.logger = logger
        self.onChoice = onChoice
    }

    /// What is wanted, and who says so.
    func wanted() throws(IOError) -> (choice: DriverChoice, reason: DriverReport.Reason) {
        if let choice {
            return (choice, choice == .automatic ? .automatic : .configuration)
        }
        guard let value = unsafe getenv(Self.environmentVariable) else {
            return (.automatic, .automatic)
        }
        let text = unsafe String(cString: value)
        if text.isEmpty { return (.automatic, .automatic) }
        guard let choice = DriverChoice(text) else {
            throw IOError(
                operation: .setUp, errno: .invalidArgument,
                advice: "the environment variable \(Self.environmentVariable) says '\(text)'; "
                    + "write auto, uring, aio or threads")
        }
        return (choice, choice == .automatic ? .automatic : .environment)
    }
}
