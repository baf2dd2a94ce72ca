internal import Glibc
public import IOEngineCore
public import SystemPackage

/// Files in memory, a script and a journal: what a ``MockDriver`` works on and a test looks at.
///
/// For exact tests: this read gets 100 bytes, then EINTR, then the rest. For tests by chance, with
/// time, faults and crashes, use ``SimulatedDisk``.
///
/// ```swift
/// let device = MockDevice()
/// let file = device.makeFile(Array("twelve bytes".utf8))
/// device.answer(IOFault.reads, with: .moves(6), .fails(.interrupted), .completes)
/// var loop = try IOLoop<NoCallback, MockDriver>(depth: 4, driver: device.makeDriver(depth: 4))
/// // … one read of 12 bytes …
/// // device.journal: a read of 12 bytes that moved 6, one of 6 that was interrupted, one of 6
/// ```
///
/// Without a script, requests complete in the order of their submission, when they are submitted. Time
/// is virtual, starts at 0 and moves only when a wait ends with its deadline, or by
/// ``advanceClock(by:)``. A ``MockConductor`` takes charge where a script does not suffice. May be used from any thread.
public final class MockDevice: Sendable {
    let state: LockedValue<MockState>

    /// - Parameters:
    ///   - maximumVectors: Of one request; 0: no vectored requests.
    ///   - alignment: Bytes that direct files demand of offset, length and memory.
    public init(maximumVectors: Int = 1024, alignment: Int = 512) {
        state = LockedValue(MockState(maximumVectors: maximumVectors, alignment: alignment))
    }

    /// A driver of this device. Several may be made; they share files, script and journal.
    ///
    /// - Parameter conductor: In charge of the driver, and kept alive by it; nil: the script alone says
    ///   what happens.
    public func makeDriver(depth: Int, conductor: (any MockConductor)? = nil) -> MockDriver {
        precondition(
            depth >= 1 && depth <= Int(IOToken.largestSlot) + 1, "a depth is 1 to 65,536")
        let gate = IOWakeGate()
        state.withLock { $0.gates.append(gate) }
        return MockDriver(MockQueue(self, depth: depth, gate: gate), conductor)
    }

    // MARK: Files

    /// A file with these bytes, open.
    public func makeFile(
        _ contents: [UInt8] = [], _ mode: FileDescriptor.AccessMode = .readWrite,
        direct: Bool = false, appending: Bool = false
    ) -> IODescriptor {
        let opened = state.withLock { state in
            state.makeFile(contents, mode, isDirect: direct, isAppending: appending)
        }
        return IODescriptor(simulated: opened.number, facts: opened.facts)
    }

    /// A descriptor of something else than a file, on which transfers are refused.
    public func makeDescriptor(_ kind: IODescriptorFacts.Kind) -> IODescriptor {
        let opened = state.withLock { $0.makeOther(kind) }
        return IODescriptor(simulated: opened.number, facts: opened.facts)
    }

    /// What is in a file; nothing for a descriptor that is not this device's.
    public func contents(of file: IODescriptor) -> [UInt8] {
        state.withLock { state in
            state.medium.openFile(file.rawValue).map { state.medium.contents(of: $0.file) } ?? []
        }
    }

    /// A part of what is in a file, as far as the file has it.
    public func contents(of file: IODescriptor, _ range: Range<Int>) -> [UInt8] {
        state.withLock { state in
            state.medium.openFile(file.rawValue).map {
                state.medium.contents(of: $0.file, range)
            } ?? []
        }
    }

    /// Requests on descriptors that are not this device's go to this file; nil: EBADF.
    public func setOtherDescriptors(_ file: IODescriptor?) {
        state.withLock { $0.otherDescriptors = file?.rawValue }
    }

    // MARK: The script

    /// The next requests that fit end in this way, one answer each, the oldest script first. When
    /// these are used up, requests complete.
    public func answer(
        _ actions: Set<IOAction>, on file: IODescriptor? = nil, with answers: MockAnswer...
    ) {
        state.withLock { $0.add(actions, file?.rawValue, answers) }
    }

    /// Ends the oldest request that is held.
    public func release(_ answer: MockAnswer = .completes) {
        let gates = state.withLock { state in
            state.releases.append(answer)
            return state.gates
        }
        for gate in gates { gate.endWait() }
    }

    /// Answers of scripts that no request has used, so that a test can demand there are none.
    public var unusedAnswers: Int { state.withLock { $0.unusedAnswers } }

    // MARK: What happened

    /// The requests that were answered, in this order.
    public var journal: [MockEntry] { state.withLock { $0.journal } }

    public func clearJournal() { state.withLock { $0.journal.removeAll() } }

    public var counts: MockCounts { state.withLock { $0.counts } }

    /// What the user of a driver did that its contract forbids, one sentence each; empty: nothing.
    public var violations: [String] { state.withLock { $0.violations } }

    /// Now, on the virtual clock.
    public var now: IOInstant { state.withLock { IOInstant(nanoseconds: $0.clock) } }

    /// Lets time pass.
    public func advanceClock(by duration: Duration) {
        state.withLock { state in
            state.clock = IOInstant(nanoseconds: state.clock).advanced(by: duration).nanoseconds
        }
    }

    // MARK: For the drivers

    /// What a wait answers that nothing could end.
    static var deadlock: Int32 { EDEADLK }

    var maximumVectors: Int { state.withLock { $0.medium.configuration.maximumVectors } }

    func note(_ violation: String) {
        // A loop that is wrong is wrong often.
        state.withLock { if $0.violations.count < 100 { $0.violations.append(violation) } }
    }

    func setClock(atLeast instant: IOInstant) {
        state.withLock { $0.clock = max($0.clock, instant.nanoseconds) }
    }

    func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        guard let facts = state.withLock({ $0.facts(descriptor) }) else {
            throw .badFileDescriptor
        }
        return facts
    }

    /// Does a request as an answer says, and notes it. Returns its result.
    func perform(_ request: IORequest, _ answer: MockAnswer) -> Int {
        state.withLock { $0.perform(request, answer) }
    }
}
