internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// The limits and settings of machine and process that decide which drivers work.
public struct Surroundings: Hashable, Sendable {
    /// As `uname -r` prints it.
    public var kernel = "unknown"
    /// The sysctl kernel.io_uring_disabled (Linux 6.6): 0 allowed, 1 for its group and the privileged, 2
    /// forbidden; nil: there is no such setting.
    public var uringDisabled: Int?
    /// A seccomp filter examines this process's system calls, as in most containers.
    public var hasSeccompFilter = false
    /// fs.aio-nr and fs.aio-max-nr: requests that all contexts of the machine are made for, and their limit.
    public var aioUsed: Int?
    public var aioLimit: Int?
    /// RLIMIT_MEMLOCK in bytes; nil: none.
    public var memoryLockLimitBytes: UInt64?
    /// CAP_IPC_LOCK: the limit does not bind this process.
    public var ignoresMemoryLockLimit = false
    /// RLIMIT_NOFILE, now and as far as the process may raise it.
    public var descriptorLimit: UInt64?
    public var descriptorLimitMaximum: UInt64?

    /// Reads them now: a few files in /proc, about 100 us. What cannot be read is unknown.
    public static func current() -> Surroundings {
        var result = Surroundings()
        if let text = SmallFile.text("/proc/sys/kernel/osrelease") { result.kernel = text }
        result.uringDisabled = SmallFile.number("/proc/sys/kernel/io_uring_disabled")
        result.aioUsed = SmallFile.number("/proc/sys/fs/aio-nr")
        result.aioLimit = SmallFile.number("/proc/sys/fs/aio-max-nr")
        for line in (SmallFile.text("/proc/self/status") ?? "").split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
            guard words.count == 2 else { continue }
            if words[0] == "Seccomp:" { result.hasSeccompFilter = words[1] == "2" }
            if words[0] == "CapEff:", let set = UInt64(words[1], radix: 16) {
                result.ignoresMemoryLockLimit = set & 1 << Self.lockCapability != 0
            }
        }
        let lock = limit(Self.memoryLockResource)
        result.memoryLockLimitBytes = lock.now
        let descriptors = limit(Self.descriptorResource)
        result.descriptorLimit = descriptors.now
        result.descriptorLimitMaximum = descriptors.most
        return result
    }

    /// RLIMIT_NOFILE and RLIMIT_MEMLOCK, and CAP_IPC_LOCK of `capability.h`.
    private static let descriptorResource: UInt32 = 7
    private static let memoryLockResource: UInt32 = 8
    private static let lockCapability: UInt64 = 14

    private static func limit(_ resource: UInt32) -> (now: UInt64?, most: UInt64?) {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(resource), &limit) == 0 else {
            return (nil, nil)
        }
        func value(_ raw: UInt) -> UInt64? { raw == .max ? nil : UInt64(raw) }
        return (value(limit.rlim_cur), value(limit.rlim_max))
    }
}

extension Surroundings {
    /// What would have to be changed so that a refused driver works: a sentence.
    func advice(_ driver: DriverKind, _ error: IOError) -> String {
        switch (driver, error.errno) {
        case (.uring, .notPermitted), (.uring, .permissionDenied):
            if let uringDisabled, uringDisabled > 0 {
                return "the sysctl kernel.io_uring_disabled is \(uringDisabled); set it to 0"
                    + (uringDisabled == 1 ? ", or join kernel.io_uring_group" : "")
            }
            return hasSeccompFilter
                ? "a seccomp filter forbids io_uring; allow io_uring_setup, io_uring_enter and "
                    + "io_uring_register in the container's seccomp profile"
                : "a security module forbids io_uring; look at its policy"
        case (.uring, .noFunction):
            return hasSeccompFilter
                ? "a seccomp filter hides io_uring, or the kernel has none; allow io_uring_setup, "
                    + "io_uring_enter and io_uring_register in the container's seccomp profile"
                : "this kernel (\(kernel)) is built without io_uring"
        case (.aio, .noFunction), (.aio, .notPermitted), (.aio, .permissionDenied):
            return hasSeccompFilter
                ? "a seccomp filter refuses Linux AIO; allow io_setup, io_submit, io_getevents and "
                    + "io_destroy in the container's seccomp profile"
                : "this kernel (\(kernel)) does not offer Linux AIO"
        default:
            return error.advice
        }
    }
}
