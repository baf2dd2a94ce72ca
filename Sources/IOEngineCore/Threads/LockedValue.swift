/// A value that threads take turns with.
///
/// As `Synchronization.Mutex`, with a POSIX lock below: ThreadSanitizer knows those, also when it checks
/// a program that uses this library, and does not know the other. Uncontended, both cost about 20 ns.
@safe @usableFromInline
package struct LockedValue<Value: ~Copyable>: ~Copyable, @unchecked Sendable {
    // Unchecked: the value comes in by `sending` and is reached under the lock alone.
    private let lock = ThreadLock()
    private let value: UnsafeMutablePointer<Value>

    @usableFromInline
    package init(_ initial: consuming sending Value) {
        unsafe value = .allocate(capacity: 1)
        unsafe value.initialize(to: initial)
    }

    deinit {
        _ = unsafe value.move()
        unsafe value.deallocate()
    }

    /// Waits for its turn and gives the value to `body`, which must not come back here.
    @usableFromInline
    package func withLock<Result: ~Copyable, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result {
        lock.lock()
        defer { lock.unlock() }
        return try unsafe body(&value.pointee)
    }

    /// Gives the value to `body` unless another thread has it just now; then nil.
    package func withLockIfFree<Result, Failure: Error>(
        _ body: (inout sending Value) throws(Failure) -> sending Result
    ) throws(Failure) -> sending Result? {
        guard lock.tryLock() else { return nil }
        defer { lock.unlock() }
        return try unsafe body(&value.pointee)
    }
}
