internal import IOEngineCore
internal import Synchronization

/// Ends a copy from another thread. One object for one copy.
public final class CopyInterruption: Sendable {
    private let isAsked = Atomic<Bool>(false)
    private let waker = LockedValue<IOWaker?>(nil)
    private let entry = LockedValue<TemporaryEntry?>(nil)

    public init() {}

    /// Asks the copy to end soon, with an error for which ``CopyError/isInterruption`` holds. IOs
    /// in flight end first. A copy that was finished already stays.
    public func interrupt() {
        // Before the waker is looked at: a copy that sets it later looks here after that.
        isAsked.store(true, ordering: .releasing)
        waker.withLock { $0 }?.wake()
    }

    /// Whether ``interrupt()`` was called.
    public var isInterrupted: Bool { isAsked.load(ordering: .acquiring) }

    /// Removes what the copy has in the destination's directory under a name of its own. For a
    /// process that is about to end without waiting for the copy, which fails if it still goes on.
    public func abandon() { entry.withLock { $0 }?.remove() }

    func check() throws(CopyError) {
        if isInterrupted { throw .interrupted }
    }

    func wake(through waker: IOWaker) { self.waker.withLock { $0 = waker } }
    func remember(_ entry: TemporaryEntry) { self.entry.withLock { $0 = entry } }
}
