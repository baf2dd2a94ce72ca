internal import IOEngineCore
internal import SystemPackage

extension SystemReport {
    /// Something worth knowing or changing.
    public struct Finding: Hashable, Sendable {
        /// How much it matters, the worst first.
        public enum Level: String, CaseIterable, Sendable {
            /// Nothing works as it is.
            case problem
            /// A setting that would make it faster or larger.
            case advice
            /// Good to know; nothing is wrong.
            case note
        }

        public var level: Level
        /// What it is about: a driver, "memory", "threads", "descriptors", "path" or "environment".
        public var subject: String
        /// A sentence or two.
        public var text: String
    }

    /// What follows from the report for the person who runs the machine, the worst first. Empty: all is
    /// as good as it gets.
    public var findings: [Finding] {
        let all =
            choiceFindings + driverFindings + setUpFindings + threadFindings + limitFindings
            + memoryFindings + pathFindings
        return Finding.Level.allCases.flatMap { level in all.filter { $0.level == level } }
    }

    /// Whether a ``SystemDriver`` can be made here.
    public var works: Bool { choice?.chosen != nil }

    private var choiceFindings: [Finding] {
        guard let choiceError else { return [] }
        guard let choice, let last = choice.attempts.last else {
            return [Finding(level: .problem, subject: "environment", text: choiceError.advice)]
        }
        let who =
            choice.reason == .automatic
            ? "no driver works"
            : "the driver that is asked for, \(last.driver.rawValue), does not work"
        let remedy =
            choice.reason == .environment
            ? "; \(SystemDriverConfiguration.environmentVariable)=auto takes the best that does"
            : ""
        return [Finding(level: .problem, subject: last.driver.rawValue, text: who + remedy)]
    }

    private var driverFindings: [Finding] {
        drivers.compactMap { attempt in
            guard let error = attempt.error else { return nil }
            return Finding(
                level: .advice, subject: attempt.driver.rawValue,
                text: "refused with errno \(error.errno.rawValue) (\(error.errno)): "
                    + attempt.advice)
        }
    }

    private var setUpFindings: [Finding] {
        var all: [Finding] = []
        if let uring {
            if !uring.isBestSetUp {
                all.append(
                    Finding(
                        level: .note, subject: "uring",
                        text: "this kernel (\(surroundings.kernel)) does not grant the fastest "
                            + "set-up, deferred task work, which Linux 6.1 and later have"))
            }
            if let missing = uring.missingOperations, !missing.isEmpty {
                all.append(
                    Finding(
                        level: .advice, subject: "uring",
                        text: "the kernel lacks \(missing.joined(separator: ", ")); events that "
                            + "need it will fail; IOENGINE_DRIVER=aio or threads does them"))
            }
        }
        let granted = drivers.first { $0.driver == .aio }?.isGranted ?? false
        if granted, let used = surroundings.aioUsed, let limit = surroundings.aioLimit,
            limit - used < depth + 1
        {
            all.append(
                Finding(
                    level: .advice, subject: "aio",
                    text: "only \(max(0, limit - used)) of the \(limit) requests that the sysctl "
                        + "fs.aio-max-nr allows the whole machine are left, too few for a depth of "
                        + "\(depth): the rest waits in the driver; raise fs.aio-max-nr, or find who "
                        + "has taken them"))
        }
        return all
    }

    private var threadFindings: [Finding] {
        guard let threadError else { return [] }
        return [
            Finding(
                level: .advice, subject: "threads",
                text: "no further thread can be started: errno \(threadError.errno.rawValue) "
                    + "(\(threadError.errno)); whatever needs one, as buffered writes, syncs and "
                    + "allocates do with most drivers, will fail with EAGAIN, and no context can "
                    + "be made; raise RLIMIT_NPROC (ulimit -u) or the container's pids.max")
        ]
    }

    private var limitFindings: [Finding] {
        guard let limit = surroundings.descriptorLimit, limit <= Self.fewDescriptors else {
            return []
        }
        let most = surroundings.descriptorLimitMaximum
        let mayRaise = most.map { $0 > limit } ?? true
        return [
            Finding(
                level: .note, subject: "descriptors",
                text: "a process may have \(limit) open descriptors, and each context takes 2 of "
                    + "them"
                    + (mayRaise
                        ? "; it may raise that itself, to "
                            + (most.map(String.init) ?? "any number") + " (ulimit -n)"
                        : "; raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE= of systemd) if that is few")
            )
        ]
    }

    /// What most systems start processes with, for programs that use `select(2)`.
    private static let fewDescriptors: UInt64 = 1024

    private var memoryFindings: [Finding] {
        guard let uring else { return [] }
        let limit = surroundings.memoryLockLimitBytes
        let setting =
            "RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= of systemd, --ulimit memlock= of containers)"
        if case .unavailable(let errno) = uring.memoryRegistration {
            let why = "\(uring.memoryBytes) bytes of memory cannot be registered with io_uring"
            let rest = "; everything works without, but the kernel pins pages for each direct IO"
            guard Errno(rawValue: errno) == .noMemory, let limit,
                !surroundings.ignoresMemoryLockLimit
            else {
                return [
                    Finding(
                        level: .advice, subject: "memory",
                        text: "\(why): errno \(errno) (\(Errno(rawValue: errno)))\(rest)")
                ]
            }
            return [
                Finding(
                    level: .advice, subject: "memory",
                    text: "\(why), because this user may lock \(limit); raise \(setting) above the "
                        + "size of your buffer pools, or grant CAP_IPC_LOCK\(rest)")
            ]
        }
        guard let limit, !surroundings.ignoresMemoryLockLimit else { return [] }
        return [
            Finding(
                level: .note, subject: "memory",
                text: "buffer pools of up to \(limit) bytes can be registered with io_uring, all "
                    + "processes of this user together; for larger ones raise \(setting)")
        ]
    }

    private var pathFindings: [Finding] {
        guard let path else { return [] }
        var all: [Finding] = []
        if let chosen = choice?.chosen, let text = path.advice(for: chosen) {
            all.append(Finding(level: .advice, subject: "path", text: text))
        }
        if path.direct.isSupported == false {
            all.append(
                Finding(
                    level: .note, subject: "path",
                    text: "there is no direct IO here: opening with O_DIRECT answers EINVAL; "
                        + "everything goes through the page cache"))
        } else if path.direct.source == .none || path.direct.source == .device {
            all.append(
                Finding(
                    level: .note, subject: "path",
                    text: "the kernel does not tell what direct IO needs here, and it could not be "
                        + "tried; multiples of 4096 bytes are right almost everywhere"))
        }
        if path.fileSystem?.isReadOnly == true {
            all.append(
                Finding(
                    level: .note, subject: "path", text: "the file system is mounted read-only"))
        }
        return all
    }
}
