/// What exploring the crashes of a workload found.
public struct CrashReport: Sendable, CustomStringConvertible {
    /// The first case that went wrong, made as small as it could be.
    public struct Failure: Sendable, CustomStringConvertible {
        /// Nil when the workload failed without any crash.
        public var smallest: CrashCase?
        /// What the recovery threw.
        public var message: String
        /// What happened, for people: the last steps before the crash, and what became of each write
        /// that was not safe.
        public var explanation: String

        public var description: String {
            var text = message + "\n" + explanation
            if let smallest {
                text +=
                    "\nAgain with: CrashExplorer.run(seed: \(smallest.seed), …, "
                    + "only: CrashCase(\"\(smallest)\"))"
            }
            return text
        }
    }

    /// Steps of the whole workload. There can be a crash before the first, after each, and at the end.
    public internal(set) var steps = 0
    /// Steps after which there was one.
    public internal(set) var points = 0
    /// Crashes recovered from: points times fates, those of recoveries included.
    public internal(set) var crashes = 0
    /// Of these, crashes of recoveries.
    public internal(set) var recoveryCrashes = 0
    /// Cases tried to make a failure smaller.
    public internal(set) var shrinkingCases = 0
    public internal(set) var failure: Failure?

    /// Whether nothing went wrong.
    public var holds: Bool { failure == nil }

    /// Calls `record` with a text if something went wrong: the adaptor to test frameworks.
    public func forEachFailure(_ record: (String) -> Void) {
        if let failure { record("\(failure)") }
    }

    public var description: String {
        "\(steps) steps, \(points) points, \(crashes) crashes (\(recoveryCrashes) of recoveries): "
            + (failure.map { "\($0)" } ?? "all recovered")
    }
}
