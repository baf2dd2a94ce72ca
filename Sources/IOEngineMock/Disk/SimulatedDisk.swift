public import IOEngineCore
internal import Synchronization

/// A disk in memory, with a virtual clock, latencies, faults and crashes, all from one seed.
///
/// The test holds the disk; the code under test gets a driver made from it and descriptors opened on
/// it, and otherwise runs as on any other driver. What the disk promises and what it does is written
/// down in `DocsSource/SimulatedDisk.md`; in short: a write is seen by reads when it completes and safe
/// when a sync that was staged afterwards succeeds.
///
/// ```swift
/// let disk = SimulatedDisk(seed: 42)
/// let file = try disk.open("table", .readWrite, options: .create)
/// var loop = try IOLoop<NoCallback, SimulatedDiskDriver>(
///     depth: 8, driver: disk.makeDriver(depth: 8))
/// // … write, crash in between …
/// let crash = disk.crash()
/// let recovered = crash.restart()
/// ```
///
/// The same seed and the same calls give the same run to the byte, on every machine, as long as one
/// thread drives it. May be used from any thread; calls take a lock that nobody holds for long.
///
/// Do not use it to measure speed: its latencies are drawn, not real.
public final class SimulatedDisk: Sendable {
    public let configuration: Configuration
    /// Everything that moves. Never held while somebody waits.
    let state: LockedValue<DiskState>

    /// An empty disk.
    public init(_ configuration: Configuration) {
        configuration.check()
        self.configuration = configuration
        state = LockedValue(
            DiskState(DiskMedium(configuration), clock: 0, seed: configuration.seed))
    }

    /// An empty disk with the usual configuration.
    public convenience init(seed: UInt64) { self.init(Configuration(seed: seed)) }

    /// What a crash left.
    init(_ medium: sending DiskMedium, clock: Int64, seed: UInt64) {
        configuration = medium.configuration
        state = LockedValue(DiskState(medium, clock: clock, seed: seed))
    }

    /// A driver of this disk. Several may be made; they share files and clock.
    ///
    /// - Parameter depth: Requests in flight at most, 1 to 65,536.
    public func makeDriver(depth: Int) -> SimulatedDiskDriver {
        precondition(
            depth >= 1 && depth <= Int(IOToken.largestSlot) + 1, "a depth is 1 to 65,536")
        let gate = IOWakeGate()
        let number = state.withLock { state in
            state.queues.append(DiskQueue(depth: depth, gate: gate))
            return state.queues.count - 1
        }
        return SimulatedDiskDriver(self, number: number, depth: depth, gate: gate)
    }

    // MARK: What happened

    /// Now, on the virtual clock, which starts at 0.
    public var now: IOInstant { IOInstant(nanoseconds: state.withLock { $0.clock }) }

    /// How often a request was handed over or completed. A disk can crash after each of these steps.
    public var steps: Int { state.withLock { $0.steps } }

    /// What happened so far, up to the configured limit.
    public var journal: [SimulatedJournalEntry] { state.withLock { $0.journal.entries } }

    /// How many entries there were, those beyond the limit included.
    public var journalCount: Int { state.withLock { $0.journal.count } }

    /// A number that depends on every entry. Two runs with the same digest did the same.
    public var journalDigest: UInt64 { state.withLock { $0.journal.digest } }

    // MARK: Faults

    /// Adds a fault. Of several that fit a request, the first added decides.
    ///
    /// - Parameter name: The file it is for; nil: any. The file need not be there yet, but then it is
    ///   made, empty.
    public func add(_ fault: IOFault, file name: String? = nil) {
        state.withLock { state in
            let number = name.map { name in
                (state.medium.file(named: name) ?? state.medium.makeFile(name)).number
            }
            state.faults.add(fault, file: number)
        }
    }

    /// Ends all faults, but for sectors that are bad and requests that are stuck.
    public func removeFaults() { state.withLock { $0.faults.removeAll() } }

    /// Lets stuck requests go on: they end with their own result.
    public func releaseStuck() {
        let gates = state.withLock { state in
            state.releaseStuck()
            return state.queues.map(\.gate)
        }
        for gate in gates { gate.endWait() }
    }

    // MARK: Crashing

    /// Stops the disk. All events in flight end as crashed, and what was not safe awaits its fate. The
    /// disk has no files any more; ``SimulatedCrash/restart(_:)`` makes a new one. Crashing twice gives
    /// the same crash.
    @discardableResult
    public func crash() -> SimulatedCrash { state.withLock { $0.crashNow() } }

    /// Crashes after a step, see ``steps``; at once if there were as many already.
    public func crash(afterStep step: Int) {
        state.withLock { state in
            state.crashStep = step
            if state.steps >= step { _ = state.crashNow() }
        }
    }

    /// The crash, if there was one.
    public var crashed: SimulatedCrash? { state.withLock { $0.crash } }
}
