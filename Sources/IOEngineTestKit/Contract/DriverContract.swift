public import IOEngineCore
internal import IOEngineMock
internal import Synchronization

/// What every driver must keep to, as a program.
///
/// ```swift
/// let report = DriverContract.check { depth in try MyDriver(depth: depth) }
/// print(report)
/// ```
///
/// Each rule gets drivers and files of its own and runs on a thread of its own, because a driver that is
/// wrong may wait for ever; such a thread is left behind. What is broken is told in a sentence, with the
/// calls that led there and the call that checks it again. Everything random comes from a seed.
///
/// Needs no test framework; ``ContractReport/forEachFailure(_:)`` is the way into one.
public enum DriverContract {
    /// - Parameters:
    ///   - files: Where the driver's files come from. A driver that does not pass descriptors to the
    ///     kernel brings its own.
    ///   - rules: The rules to check.
    ///   - seed: What all chance comes from.
    ///   - effort: How much of each kind of random work is done; 1 takes about a second altogether in
    ///     a debug build.
    ///   - timeoutSeconds: How long one rule may take, in real time.
    ///   - makeDriver: Makes a driver for so many requests in flight. Called often, each time on the
    ///     thread that will use the driver.
    public static func check<Driver: IODriver & ~Copyable>(
        files: ContractFiles = .temporary(), rules: [ContractRule] = ContractRule.allCases,
        seed: UInt64 = 1, effort: Int = 1, timeoutSeconds: Int = 30,
        _ makeDriver: @escaping @Sendable (_ depth: Int) throws -> Driver
    ) -> ContractReport {
        var report = ContractReport()
        for rule in rules {
            let recorder = TraceRecorder(limit: 1_000_000, keepsBytes: false)
            let checks = Checks(
                files: files, seed: seed, effort: max(1, effort), recorder: recorder,
                makeDriver: makeDriver)
            let end = run(rule, checks, timeoutSeconds)
            if report.driver.isEmpty { report.driver = recorder.trace.driver }
            switch end {
            case nil: report.passed.append(rule)
            case .skipped(let reason): report.skips.append(.init(rule: rule, reason: reason))
            case .broken(let broken, let sentence):
                report.failures.append(
                    .init(
                        rule: broken, checked: rule, sentence: sentence,
                        trace: recorder.lastCalls(40), seed: seed, effort: checks.effort))
            }
        }
        return report
    }

    /// Runs one rule. Nil: it holds.
    private static func run<Driver: IODriver & ~Copyable>(
        _ rule: ContractRule, _ checks: Checks<Driver>, _ timeoutSeconds: Int
    ) -> ContractEnd? {
        let end = Ending()
        do {
            let thread = try KitThread {
                do {
                    try checks.check(rule)
                } catch let error as ContractEnd {
                    end.put(error)
                } catch {
                    end.put(.broken(rule, "\(error) was thrown"))
                }
            }
            guard thread.finish(seconds: timeoutSeconds) else {
                return .broken(rule, "the check did not come to its end in \(timeoutSeconds) s")
            }
            return end.taken
        } catch {
            return error as? ContractEnd
        }
    }

    private final class Ending: Sendable {
        private let end = LockedValue<ContractEnd?>(nil)
        func put(_ new: ContractEnd) { end.withLock { $0 = new } }
        var taken: ContractEnd? { end.withLock { $0 } }
    }
}

/// The checks of one rule on one kind of driver.
struct Checks<Driver: IODriver & ~Copyable>: Sendable {
    let files: ContractFiles
    let seed: UInt64
    let effort: Int
    let recorder: TraceRecorder
    let makeDriver: @Sendable (Int) throws -> Driver

    func rig(depth: Int = 8, firstGeneration: UInt32 = 0) throws -> Rig<Driver> {
        try Rig(
            depth: depth, recorder: recorder, firstGeneration: firstGeneration, makeDriver)
    }

    func random() -> SimulationRandom { SimulationRandom(seed: seed) }

    /// Bytes that tell where they are from.
    func pattern(_ count: Int, _ salt: UInt8 = 0) -> [UInt8] {
        // No map: a debug build calls a function for each step of it.
        unsafe [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
            var i = 0
            while i < count {
                unsafe bytes[i] = UInt8(truncatingIfNeeded: i &* 31 &+ i >> 8) ^ salt
                i += 1
            }
            initialized = count
        }
    }

    func check(_ rule: ContractRule) throws {
        switch rule {
        case .capabilities: try capabilities()
        case .exactlyOnce: try exactlyOnce()
        case .tokens: try tokens()
        case .depth: try depth()
        case .full: try full()
        case .reaping: try reaping()
        case .deadlines: try deadlines()
        case .waking: try waking()
        case .earlyWaking: try earlyWaking()
        case .busyWaking: try busyWaking()
        case .lateWaking: try lateWaking()
        case .idling: try idling()
        case .progress: try progress()
        case .cancelling: try cancelling()
        case .cancellingNothing: try cancellingNothing()
        case .dropping: try dropping()
        case .memory: try memory()
        case .transfers: try transfers()
        case .visibility: try visibility()
        case .endOfFile: try endOfFile()
        case .vectors: try vectors()
        case .syncs: try syncs()
        case .flags: try flags()
        case .allocating: try allocating()
        case .errors: try errors()
        case .neighbours: try neighbours()
        case .hastening: try hastening()
        case .clock: try clock()
        case .inspecting: try inspecting()
        case .registration: try registration()
        case .mixture: try mixture()
        case .loopErrors: try loopErrors()
        case .loopTransfers: try loopTransfers()
        case .loopEnds: try loopEnds()
        }
    }
}
