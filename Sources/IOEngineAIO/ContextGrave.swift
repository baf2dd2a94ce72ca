internal import CLibAIO
internal import Glibc
internal import IOEngineCore

/// Where contexts end. `io_destroy` waits for everything in flight, and even without that for a grace
/// period of some milliseconds, so it is called on a thread of its own.
final class ContextGrave: Sendable {
    static let shared = ContextGrave()

    private let lock = ThreadLock()
    private let emptied = ThreadCondition()
    // Guarded by `lock`.
    nonisolated(unsafe) private var pending = 0

    /// Destroys a context that nobody uses any more. Returns at once.
    ///
    /// - Parameter isIdle: Nothing is in flight: if no thread can be started, it is destroyed here,
    ///   else left to the end of the process.
    func bury(_ handle: OpaquePointer, isIdle: Bool) {
        add(1)
        // As a number: a pointer must not cross threads unnoticed, and this one is only handed on.
        let number = UInt(bitPattern: handle)
        let answer = HelperThread.start("ioengine-bury") { [self] in
            _ = unsafe io_destroy(OpaquePointer(bitPattern: number))
            add(-1)
        }
        if answer != 0 {
            if isIdle { _ = unsafe io_destroy(handle) }
            add(-1)
        }
    }

    private func add(_ number: Int) {
        lock.lock()
        unsafe pending += number
        if unsafe pending == 0 { emptied.broadcast() }
        lock.unlock()
    }

    /// Waits until what was buried no longer counts against fs.aio-max-nr, for a second at most.
    ///
    /// - Returns: False if nothing was there to wait for.
    func waitUntilEmpty() -> Bool {
        let deadline = IOInstant.monotonic().advanced(by: .seconds(1))
        lock.lock()
        defer { lock.unlock() }
        let wasEmpty = unsafe pending == 0
        while unsafe pending > 0, emptied.wait(lock, until: deadline) {}
        return !wasEmpty
    }
}
