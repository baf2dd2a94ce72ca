public import IOEngineCore
public import IOEngineURing
internal import SystemPackage

/// All that decides how the engine runs here and now: kernel, limits, what every driver says, which would be
/// chosen, and what a path wants. Found by doing, not from version numbers.
///
/// It is what `ioengine doctor` prints. It costs some milliseconds, a few descriptors, and for that time
/// the memory that it tries to register.
public struct SystemReport: Sendable {
    public internal(set) var surroundings: Surroundings
    /// The depth that the drivers were set up with.
    public internal(set) var depth: Int
    /// What every driver says, best first.
    public internal(set) var drivers: [DriverReport.Attempt]
    /// Which one a ``SystemDriver`` would take. Nil: none, because what is wanted makes no sense, as
    /// `choiceError` says.
    public internal(set) var choice: DriverReport?
    /// Why a ``SystemDriver`` would not be made; nil: it would.
    public internal(set) var choiceError: IOError?
    /// Nil: there is no io_uring here; its entry in `drivers` says why.
    public internal(set) var uring: URingReport?
    /// Why no further thread can be started; nil: one can.
    public internal(set) var threadError: IOError?
    /// Nil: no path was asked about.
    public internal(set) var path: PathReport?

    /// Looks.
    ///
    /// - Parameters:
    ///   - path: A file, a block device or a directory to look at; nil: none.
    ///   - depth: Requests in flight that the drivers are set up for.
    ///   - configuration: What is wanted; its logger and `onChoice` hear nothing of this.
    ///
    /// Throws what ``PathReport/init(_:)`` throws. That a driver is refused is a result, not an error.
    public init(
        path: String? = nil, depth: Int = 32, configuration: SystemDriverConfiguration = .init()
    ) throws(IOError) {
        if let path { self.path = try PathReport(path) }
        self.depth = depth
        surroundings = .current()
        drivers = DriverReport.probingEach(depth: depth, configuration: configuration)
        let refusal = HelperThread.start("ioengine-doctor") {}
        if refusal != 0 {
            threadError = IOError(operation: .setUp, errno: Errno(rawValue: refusal))
        }
        uring = try? URingReport(depth: depth, configuration: configuration.uring)
        do throws(IOError) {
            let report = try DriverReport.choosing(from: drivers, configuration)
            choice = report
            if report.chosen == nil, let last = report.attempts.last {
                choiceError = last.error
            }
        } catch {
            choiceError = error
        }
    }
}

extension DriverReport {
    /// What a ``SystemDriver`` would report if the drivers said this.
    static func choosing(
        from drivers: [Attempt], _ configuration: SystemDriverConfiguration
    ) throws(IOError) -> DriverReport {
        let (choice, reason) = try configuration.wanted()
        var report = DriverReport(reason: reason)
        for kind in choice.candidates {
            guard let attempt = drivers.first(where: { $0.driver == kind }) else { continue }
            report.attempts.append(attempt)
            if attempt.isGranted { break }
        }
        return report
    }
}
