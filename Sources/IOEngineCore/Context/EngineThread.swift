internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A POSIX thread of the engine's: named, with its signals blocked, and known as one of ours, so that
/// calls which would wait for the engine can tell that they run on it.
@safe @usableFromInline
final class EngineThread: Sendable {
    private let handle: LockedValue<pthread_t?>
    private let identity = Atomic<UInt>(0)
    private let life = OwnedLife()

    /// What a thread is to do, on its way into it.
    private final class Body {
        let run: @Sendable () -> Void
        let name: String
        let cpus: [Int]
        init(_ name: String, _ cpus: [Int], _ run: @escaping @Sendable () -> Void) {
            self.run = run
            self.name = name
            self.cpus = cpus
        }
    }

    /// Starts a thread.
    ///
    /// - Parameters:
    ///   - name: Shown by `ps -L` and debuggers; cut to 15 bytes.
    ///   - cpus: Where it may run; empty: anywhere.
    @usableFromInline
    init(
        name: String, cpus: [Int] = [], _ body: @escaping @Sendable () -> Void
    ) throws(IOError) {
        // A new thread inherits the mask: none of the program's signals ever lands on it. Those that a
        // fault raises stay as they are.
        var blocked = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&blocked)
        for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT] {
            unsafe sigdelset(&blocked, signal)
        }
        unsafe pthread_sigmask(SIG_SETMASK, &blocked, &before)
        var thread = pthread_t()
        let box = unsafe Unmanaged.passRetained(Body(name, cpus, body)).toOpaque()
        let code = unsafe pthread_create(
            &thread, nil,
            { box in
                guard let box = unsafe box else { return nil }
                let body = unsafe Unmanaged<Body>.fromOpaque(box).takeRetainedValue()
                EngineThread.setUp(body.name, body.cpus)
                body.run()
                return nil
            }, box)
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard code == 0 else {
            unsafe Unmanaged<Body>.fromOpaque(box).release()
            throw IOError(
                operation: .setUp, errno: Errno(rawValue: code),
                advice:
                    "no thread is to be had; raise RLIMIT_NPROC (ulimit -u) or use fewer threads")
        }
        handle = LockedValue(thread)
        identity.store(UInt(thread), ordering: .relaxed)
    }

    private static func setUp(_ name: String, _ cpus: [Int]) {
        isCurrentOurs = true
        unsafe CLinux.pthread_setname_np(
            pthread_self(), String(decoding: name.utf8.prefix(15), as: UTF8.self))
        guard let largest = cpus.max(), largest >= 0 else { return }
        var mask = [UInt](repeating: 0, count: largest / UInt.bitWidth + 1)
        for cpu in cpus where cpu >= 0 { mask[cpu / UInt.bitWidth] |= 1 << (cpu % UInt.bitWidth) }
        // A processor that is not there leaves the thread where it may run anyway.
        unsafe mask.withUnsafeMutableBytes { bytes in
            _ = unsafe CLinux.sched_setaffinity(
                0, bytes.count, bytes.baseAddress?.assumingMemoryBound(to: cpu_set_t.self))
        }
    }

    /// Whether this is the thread that calls.
    @usableFromInline
    var isCurrent: Bool { identity.load(ordering: .relaxed) == ThreadIdentity.current }

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
