internal import CLinux
internal import Glibc
internal import SystemPackage

/// A POSIX thread of the engine's: named, with its signals blocked, and known as one of ours, so that
/// calls which would wait for the engine can tell that they run on it.
@safe @usableFromInline
final class EngineThread: Sendable {
    private let handle: LockedValue<pthread_t?>
    private let life = OwnedLife()

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: Shown by `ps -L` and debuggers; cut to 15 bytes.
    ///   - cpus: Where it may run; empty: anywhere.
    @usableFromInline
    init(
        name: String, cpus: [Int] = [], _ body: @escaping @Sendable () -> Void
    ) throws(IOError) {
        let (thread, code) = ThreadStart.start(name) {
            EngineThread.setUp(cpus)
            body()
        }
        guard code == 0 else {
            throw IOError(
                operation: .setUp, errno: Errno(rawValue: code),
                advice: SystemCall.advice(among: SystemCall.startingThreads, code)
                    ?? "no thread is to be had; raise RLIMIT_NPROC (ulimit -u) or use fewer threads"
            )
        }
        handle = LockedValue(thread)
    }

    private static func setUp(_ cpus: [Int]) {
        isCurrentOurs = true
        guard let largest = cpus.max(), largest >= 0 else { return }
        var mask = [UInt](repeating: 0, count: largest / UInt.bitWidth + 1)
        for cpu in cpus where cpu >= 0 { mask[cpu / UInt.bitWidth] |= 1 << (cpu % UInt.bitWidth) }
        // A processor that is not there leaves the thread where it may run anyway.
        unsafe mask.withUnsafeMutableBytes { bytes in
            _ = unsafe CLinux.sched_setaffinity(
                0, bytes.count, bytes.baseAddress?.assumingMemoryBound(to: cpu_set_t.self))
        }
    }

    /// Waits for its end, once; later calls return at once. Never on the thread itself.
    @usableFromInline
    func join() {
        let thread = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        if let thread { pthread_join(thread, nil) }
    }

    /// Lets it end by itself.
    @usableFromInline
    func detach() {
        let thread = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        if let thread { pthread_detach(thread) }
    }

    deinit {
        // A forked child has only the thread that forked; the handle names nothing there.
        if life.isForked { return }
        detach()
    }

    // MARK: Ours or not

    /// Whether the current thread belongs to the engine: it must not wait for the engine's work.
    @usableFromInline
    static var isCurrentOurs: Bool {
        get { unsafe pthread_getspecific(key) != nil }
        set { unsafe pthread_setspecific(key, newValue ? UnsafeRawPointer(bitPattern: 1) : nil) }
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        unsafe pthread_key_create(&key, nil)
        return key
    }()
}

extension ThreadIdentity {
    /// Processors on which the process may run (its main thread's affinity).
    @usableFromInline static var processors: Int {
        // Larger than any machine: a mask that is too short is refused.
        var mask = [UInt](repeating: 0, count: 16384 / UInt.bitWidth)
        let answer = unsafe mask.withUnsafeMutableBytes { bytes in
            unsafe CLinux.sched_getaffinity(
                getpid(), bytes.count, bytes.baseAddress?.assumingMemoryBound(to: cpu_set_t.self))
        }
        guard answer == 0 else { return onlineProcessors }
        return max(1, mask.reduce(0) { $0 + $1.nonzeroBitCount })
    }
}
