public import IOEngineMock

/// One crash of one run, to be repeated: which operations, after which step, and what was left.
///
/// As text it is one word, which ``CrashExplorer`` prints for a failure and takes back.
public struct CrashCase: Hashable, Sendable, LosslessStringConvertible {
    /// A crash: after which step of the disk, and with what fate.
    public struct Crash: Hashable, Sendable {
        public var step: Int
        public var fate: CrashFate
    }

    public var seed: UInt64
    /// The operations that are done, by number.
    public var operations: [Int]
    /// The crash of the workload.
    public var crash: Crash
    /// The crash of the recovery after it, if that crashed too.
    public var recoveryCrash: Crash?

    public var description: String {
        let operations = operations.map { "\($0)" }.joined(separator: ",")
        let crashes = [crash] + (recoveryCrash.map { [$0] } ?? [])
        return (["\(seed)", operations] + crashes.flatMap { ["\($0.step)", "\($0.fate)"] })
            .joined(separator: ":")
    }

    init(seed: UInt64, operations: [Int], crash: Crash, recoveryCrash: Crash? = nil) {
        self.seed = seed
        self.operations = operations
        self.crash = crash
        self.recoveryCrash = recoveryCrash
    }

    public init?(_ description: String) {
        let parts = description.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4 || parts.count == 6, let seed = UInt64(parts[0]) else { return nil }
        let numbers = parts[1].split(separator: ",").map { Int($0) }
        var crashes: [Crash] = []
        for place in stride(from: 2, to: parts.count, by: 2) {
            guard let step = Int(parts[place]), let fate = CrashFate(String(parts[place + 1]))
            else {
                return nil
            }
            crashes.append(Crash(step: step, fate: fate))
        }
        let operations = numbers.compactMap { $0 }
        guard operations.count == numbers.count else { return nil }
        self.init(
            seed: seed, operations: operations, crash: crashes[0],
            recoveryCrash: crashes.count > 1 ? crashes[1] : nil)
    }
}
