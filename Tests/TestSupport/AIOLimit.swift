internal import Glibc
internal import IOEngineCore
internal import Synchronization
internal import SystemPackage
public import Testing

/// The sysctl fs.aio-max-nr, which the whole machine shares: tests that change it have it to themselves.
public enum AIOLimit {
    // Unchecked: a lock of the C library for use by several threads. It is never destroyed.
    @safe private final class Gate: @unchecked Sendable {
        let lock: UnsafeMutablePointer<pthread_rwlock_t>

        init() {
            unsafe lock = .allocate(capacity: 1)
            unsafe lock.initialize(to: pthread_rwlock_t())
            unsafe pthread_rwlock_init(lock, nil)
        }
    }

    /// Whoever runs the tests allows it.
    public static let mayBeChanged = unsafe getenv("IOENGINE_AIO_LIMIT") != nil
    public static let whyNot: Comment = """
        changes the sysctl fs.aio-max-nr under everything that runs on the machine, other tests too; \
        IOENGINE_AIO_LIMIT=1 swift test --no-parallel --filter 'ReportTests|SetUpTests|DoctorTests' does it
        """

    private static let gate = Gate()
    private static let path = "/proc/sys/fs/aio-max-nr"

    /// Makes something that needs a context, while nobody has changed the limit.
    public static func unchanged<R: ~Copyable>(_ body: () throws -> R) throws -> R {
        unsafe pthread_rwlock_rdlock(gate.lock)
        defer { unsafe pthread_rwlock_unlock(gate.lock) }
        return try body()
    }

    /// Runs `body` with another limit.
    ///
    /// - Parameters:
    ///   - limit: Requests.
    ///   - beyondUsed: Beside those that are used already.
    /// - Returns: Nil, after printing why, where the limit cannot be changed.
    public static func changed<R: ~Copyable>(
        to limit: Int, beyondUsed: Bool = true, _ body: () throws -> R
    ) throws -> R? {
        unsafe pthread_rwlock_wrlock(gate.lock)
        defer { unsafe pthread_rwlock_unlock(gate.lock) }
        guard let before = SmallFile.number(path),
            let used = SmallFile.number("/proc/sys/fs/aio-nr"),
            set(limit + (beyondUsed ? used : 0))
        else {
            print("skipped: the sysctl fs.aio-max-nr cannot be changed here")
            return nil
        }
        defer { _ = set(before) }
        return try body()
    }

    /// Sets the limit once more, inside ``changed(to:beyondUsed:_:)`` only.
    ///
    /// - Returns: False: it cannot be set.
    public static func change(to limit: Int) -> Bool { set(limit) }

    /// Requests that the contexts of the whole machine are made for.
    public static var used: Int? { SmallFile.number("/proc/sys/fs/aio-nr") }

    private static func set(_ number: Int) -> Bool {
        guard let file = try? FileDescriptor.open(FilePath(path), .writeOnly) else { return false }
        defer { try? file.close() }
        return (try? file.writeAll(Array("\(number)\n".utf8))) != nil
    }
}
