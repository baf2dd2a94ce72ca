public import IOEngineCore
internal import SystemPackage

/// Which driver was chosen, and why not a better one.
public struct DriverReport: Sendable, CustomStringConvertible {
    /// Who decided.
    public enum Reason: String, Codable, Sendable {
        /// The best driver that works.
        case automatic
        /// The environment variable IOENGINE_DRIVER.
        case environment
        /// The program.
        case configuration
    }

    /// One driver that was tried, by setting it up and using it.
    public struct Attempt: Sendable, CustomStringConvertible {
        public var driver: DriverKind
        /// Nil: it works.
        public var error: IOError?
        /// How the driver says it was set up; empty where it was not.
        public var setUp: String
        /// The sysctl, limit or container setting that would change a refusal: a sentence. Empty where it
        /// works.
        public var advice: String

        public var isGranted: Bool { error == nil }

        init(granted driver: DriverKind, _ setUp: String) {
            self.driver = driver
            self.setUp = setUp
            advice = ""
        }

        package init(refused driver: DriverKind, _ error: IOError) {
            self.driver = driver
            self.error = error
            setUp = ""
            advice = Surroundings.current().advice(driver, error)
        }

        public var description: String {
            guard let error else { return "\(driver.rawValue): \(setUp)" }
            return "\(driver.rawValue): refused with errno \(error.errno.rawValue) "
                + "(\(error.errno)): \(advice)"
        }
    }

    /// In the order in which they were tried.
    public internal(set) var attempts: [Attempt] = []
    public internal(set) var reason: Reason

    /// Nil: none of those that were tried works.
    public var chosen: DriverKind? { attempts.last { $0.isGranted }?.driver }

    /// Whether a better driver was refused.
    public var isFallback: Bool { attempts.count > 1 && chosen != nil }

    /// One line: what was chosen, by whom, and what was refused.
    public var description: String {
        let who =
            switch reason {
            case .automatic: "the best that works"
            case .environment: "as \(SystemDriverConfiguration.environmentVariable) says"
            case .configuration: "as the program says"
            }
        let tried = attempts.map(\.description).joined(separator: "; ")
        return "driver \(chosen?.rawValue ?? "none"), \(who) (\(tried))"
    }

    init(reason: Reason) { self.reason = reason }

    mutating func addGranted(_ driver: DriverKind, _ setUp: String) {
        attempts.append(Attempt(granted: driver, setUp))
    }

    mutating func addRefused(_ driver: DriverKind, _ error: IOError) {
        attempts.append(Attempt(refused: driver, error))
    }

    /// Sets a driver up as a ``SystemDriver`` would, and drops it: what would be chosen here and now.
    /// Costs milliseconds. Throws only for a nonsensical environment variable.
    public static func probing(
        depth: Int = 32, configuration: SystemDriverConfiguration = .init()
    ) throws(IOError) -> DriverReport {
        let (choice, reason) = try configuration.wanted()
        var report = DriverReport(reason: reason)
        _ = SystemDriver.Parts(depth, configuration, choice.candidates, &report)
        return report
    }

    /// Sets each driver up in turn, the better ones first, and drops it: what every one of them says here
    /// and now, whichever is wanted. Costs some milliseconds.
    public static func probingEach(
        depth: Int = 32, configuration: SystemDriverConfiguration = .init()
    ) -> [Attempt] {
        DriverKind.allCases.flatMap { kind in
            var report = DriverReport(reason: .configuration)
            _ = SystemDriver.Parts(depth, configuration, [kind], &report)
            return report.attempts
        }
    }
}
