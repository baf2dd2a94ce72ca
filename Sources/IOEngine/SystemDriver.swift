public import IOEngineAIO
public import IOEngineCore
public import IOEngineThreads
public import IOEngineURing
internal import Logging
internal import Synchronization
internal import SystemPackage

/// The best driver that works here: io_uring, then Linux AIO, then threads.
///
/// Found by doing: each is set up as it will be used, with one real IO, and the first that works is
/// kept. No kernel version is looked at. The environment variable IOENGINE_DRIVER (auto, uring, aio,
/// threads) or the configuration asks for a certain one. ``report`` tells what was tried, and what would
/// have to be changed for a better one.
///
/// A call goes to the chosen driver by one comparison, without a box, and inlined. Like every driver it is
/// made on the thread that uses it:
///
/// ```swift
/// let context = try IOContext<ClosureCallback, SystemDriver>(depth: 32)
/// ```
@safe
public struct SystemDriver: IODriver, ~Copyable {
    /// Exactly one is there. Optionals are mutated in place, unlike the cases of an enum.
    @usableFromInline
    struct Parts: ~Copyable {
        @usableFromInline var uring: URingDriver?
        @usableFromInline var aio: AIODriver?
        @usableFromInline var threads: ThreadPoolDriver?
    }

    @usableFromInline var parts: Parts
    /// What was tried, and why this driver was chosen.
    public let report: DriverReport
    public let capabilities: IOCapabilities
    public let waker: IOWaker

    /// Chooses, and logs the decision.
    ///
    /// - Parameters:
    ///   - depth: Requests in flight at most: 1 to 65,536; io_uring takes part up to 32,768.
    ///   - configuration: What is wanted.
    ///
    /// Throws the error of the last driver that was tried, so mostly of one that was asked for by name,
    /// and EINVAL for a depth out of range or an environment variable that makes no sense.
    public init(
        depth: Int, configuration: SystemDriverConfiguration = .init()
    ) throws(IOError) {
        let (choice, reason) = try configuration.wanted()
        var report = DriverReport(reason: reason)
        let parts = Parts(depth, configuration, choice.candidates, &report)
        let (found, waker) = parts.described
        guard var capabilities = found, let chosen = report.chosen else {
            // What is refused is refused; the advice knows this machine's settings.
            let last = report.attempts.last
            throw IOError(
                operation: .setUp, errno: last?.error?.errno ?? .notSupported, advice: last?.advice)
        }
        if report.isFallback { capabilities.setUp = report.description }
        self.parts = parts
        self.capabilities = capabilities
        self.waker = waker
        self.report = report
        kind = chosen
        ChoiceLog.note(report, configuration.logger)
        configuration.onChoice?(report)
    }

    /// The driver that was chosen.
    public let kind: DriverKind
}

extension SystemDriver.Parts {
    /// Tries one after the other until one works.
    init(
        _ depth: Int, _ configuration: SystemDriverConfiguration, _ candidates: [DriverKind],
        _ report: inout DriverReport
    ) {
        self.init(uring: nil, aio: nil, threads: nil)
        for kind in candidates {
            do throws(IOError) {
                switch kind {
                case .uring:
                    let driver = try URingDriver(depth: depth, configuration: configuration.uring)
                    report.addGranted(kind, driver.capabilities.setUp)
                    uring = consume driver
                case .aio:
                    let driver = try AIODriver(depth: depth, configuration: configuration.aio)
                    report.addGranted(kind, driver.capabilities.setUp)
                    aio = consume driver
                case .threads:
                    let driver = try ThreadPoolDriver(
                        depth: depth, configuration: configuration.threads)
                    report.addGranted(kind, driver.capabilities.setUp)
                    threads = consume driver
                }
                return
            } catch {
                report.addRefused(kind, error)
            }
        }
    }

    /// What the chosen one can do, and what wakes it; nil: there is none.
    var described: (IOCapabilities?, IOWaker) {
        switch uring {
        case .some(let driver): return (driver.capabilities, driver.waker)
        case .none: break
        }
        switch aio {
        case .some(let driver): return (driver.capabilities, driver.waker)
        case .none: break
        }
        switch threads {
        case .some(let driver): return (driver.capabilities, driver.waker)
        case .none: return (nil, .none)
        }
    }

    var counters: IODriverCounters {
        switch uring {
        case .some(let driver): return driver.counters
        case .none: break
        }
        switch aio {
        case .some(let driver): return driver.counters
        case .none: break
        }
        switch threads {
        case .some(let driver): return driver.counters
        case .none: return IODriverCounters()
        }
    }
}

/// Says each decision once a process, however many drivers are made.
private enum ChoiceLog {
    /// There are few decisions in a process's life; beyond this many they go unsaid.
    private static let most = 16
    private static let said = LockedValue<Set<String>>([])

    static func note(_ report: DriverReport, _ logger: Logger?) {
        guard let logger else { return }
        let tried = report.attempts.map {
            "\($0.driver.rawValue) \($0.error?.errno.rawValue ?? 0)"
        }
        let key = ([report.reason.rawValue] + tried).joined(separator: " ")
        let isNew = said.withLock { $0.count < most && $0.insert(key).inserted }
        if isNew { logger.log(level: report.isFallback ? .notice : .info, "\(report)") }
    }
}
