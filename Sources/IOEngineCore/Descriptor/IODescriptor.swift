internal import Glibc
public import Synchronization
public import SystemPackage

/// An open file that the engine knows and owns.
///
/// Events that use it hold it, so its number cannot be closed, and given to another file, under an IO.
/// It may be used from several loops and threads. Dropping the last reference closes it.
///
/// A plain `FileDescriptor` works in every call too. The loop then keeps what it learnt by number;
/// tell it with ``IOLoop/forget(_:)`` when you close the number.
public final class IODescriptor: Sendable {
    /// The number. Do not close it.
    public let rawValue: Int32
    /// What the kernel said about the file when it was opened.
    public let facts: IODescriptorFacts
    /// Tells two descriptors apart that had the same number one after the other; never 0.
    @usableFromInline let identity: UInt64
    /// How many loops have events of it in flight, in which generation of processes, and the bits below.
    @usableFromInline let state = Atomic<UInt64>(UInt64(unsafe EngineLife.generation) << 32)
    private let syncErrno = Atomic<Int32>(0)
    /// What `close(2)` failed with; 0: nothing.
    private let closeErrno = Atomic<Int32>(0)

    @inlinable static var closing: UInt64 { 1 << 63 }
    private static let closed: UInt64 = 1 << 62
    /// `close(2)` has returned.
    private static let gone: UInt64 = 1 << 61
    private static let flags: UInt64 = closing | closed | gone
    /// Loops that hold it.
    private static let holds: UInt64 = 0xffff_ffff
    private static let generations: UInt64 = ~(flags | holds)
    /// For those who wait for any descriptor to be closed.
    private static var closings: WaitingRoom { ClosingRoom.current }
    private static let identities = Atomic<UInt64>(1)

    /// Takes over an open descriptor; it is closed with this object. Throws EBADF for a number that is
    /// not open.
    public init(adopting descriptor: FileDescriptor) throws(IOError) {
        rawValue = descriptor.rawValue
        do {
            facts = try IODescriptorFacts(of: descriptor.rawValue)
        } catch {
            throw IOError(
                operation: .open, descriptor: descriptor.rawValue, errno: error,
                advice: SystemCall.advice(among: [.fcntl, .statx], error.rawValue))
        }
        identity = Self.identities.add(1, ordering: .relaxed).newValue
    }

    /// For drivers whose descriptors the kernel does not know: nothing is asked of the kernel and
    /// nothing is closed.
    public init(simulated number: Int32, facts: IODescriptorFacts) {
        rawValue = number
        self.facts = facts
        identity = Self.identities.add(1, ordering: .relaxed).newValue
        state.bitwiseOr(Self.closed, ordering: .relaxed)
    }

    deinit {
        // What a dead driver may still do keeps the number: nobody lets go of it any more.
        letDeadLoopsGo()
        if state.load(ordering: .acquiring) & ~Self.generations == 0 { _ = Glibc.close(rawValue) }
    }

    /// The number, still open, for calls of your own. Keep this object for as long as you use it: the
    /// last reference closes the number.
    public var fileDescriptor: FileDescriptor { FileDescriptor(rawValue: rawValue) }

    /// Whether ``close()`` was called. Events submitted from then on are answered with EBADF.
    @inlinable public var isClosed: Bool { state.load(ordering: .acquiring) & Self.closing != 0 }

    /// Closes the file: at once if no loop has an event of it in flight, else when the last one has settled.
    ///
    /// A context holds the file for a moment longer, until its loop has nothing else to do, so right after a
    /// callback the answer may be false. After ``IOContext/drain()`` and ``IOContext/shutdown()`` it is held
    /// no more; ``IOContext/close(_:)`` and ``waitUntilClosed()`` wait.
    ///
    /// - Returns: Whether it is closed already. Throws EBADF when it was closed before, or what
    ///   `close(2)` answered.
    @discardableResult
    public func close() throws(IOError) -> Bool {
        letDeadLoopsGo()
        let before = state.bitwiseOr(Self.closing, ordering: .acquiringAndReleasing).oldValue
        if before & Self.closing != 0 {
            throw IOError(
                operation: .close, descriptor: rawValue, errno: .badFileDescriptor,
                advice: "the descriptor was closed before; close it once")
        }
        if before & Self.holds != 0 { return false }
        _ = finishClosing()
        if let error = closingError { throw error }
        return true
    }

    /// What `close(2)` failed with, once it has returned.
    var closingError: IOError? {
        let number = closeErrno.load(ordering: .relaxed)
        if number == 0 { return nil }
        return IOError(
            operation: .close, descriptor: rawValue, errno: Errno(rawValue: number),
            advice: SystemCall.advice(among: [.close], number))
    }

    /// Closes it as ``close()`` does. False: it was closed before.
    func closeOnce() -> Bool {
        do {
            try close()
            return true
        } catch {
            return closingError != nil
        }
    }

    /// Calls `close(2)` once, whoever comes first. Returns the errno; 0: none.
    private func finishClosing() -> Int32 {
        let before = state.bitwiseOr(Self.closed, ordering: .acquiringAndReleasing).oldValue
        // The errno is read at once: waking others changes it.
        let answer = before & Self.closed == 0 && Glibc.close(rawValue) < 0 ? errno : 0
        if answer != 0 { closeErrno.store(answer, ordering: .relaxed) }
        state.bitwiseOr(Self.gone, ordering: .releasing)
        Self.closings.notify()
        return answer
    }

    /// Waits until the file is closed, after somebody called ``close()``: until every event of it, on any
    /// loop, has settled. Not on a thread of the engine's: it would wait for itself.
    public func waitUntilClosed() {
        precondition(
            !EngineThread.isCurrentOurs,
            "a loop's or worker's thread cannot wait for its own events")
        letDeadLoopsGo()
        _ = Self.closings.wait { state.load(ordering: .acquiring) & Self.gone != 0 }
    }

    /// A loop has its first event in flight. False: it is closed.
    @usableFromInline
    func hold() -> Bool {
        letDeadLoopsGo()
        var seen = state.load(ordering: .relaxed)
        while seen & Self.closing == 0 {
            let (exchanged, original) = state.weakCompareExchange(
                expected: seen, desired: seen + 1, ordering: .acquiringAndReleasing)
            if exchanged { return true }
            seen = original
        }
        return false
    }

    /// In a forked child, the loops that held this when it forked are dead, and the number is the child's
    /// own: what they held does not count any more.
    private func letDeadLoopsGo() {
        let generation = UInt64(unsafe EngineLife.generation) << 32
        var seen = state.load(ordering: .acquiring)
        while seen & Self.generations != generation {
            let (exchanged, original) = state.compareExchange(
                expected: seen, desired: seen & Self.flags | generation,
                ordering: .acquiringAndReleasing)
            if exchanged {
                // The parent waits for them, and closes its own.
                if seen & Self.closing != 0, seen & Self.closed == 0 { _ = finishClosing() }
                return
            }
            seen = original
        }
    }

    /// A loop has no event in flight any more.
    @usableFromInline
    func release() {
        let after = state.subtract(1, ordering: .acquiringAndReleasing).newValue
        if after & Self.closing != 0, after & Self.holds == 0 {
            _ = finishClosing()
        }
    }

    /// What the first sync, or write that was to be durable, failed with; nil: none did, or it was
    /// cleared.
    ///
    /// The kernel tells of lost data once for each open file, to whoever looks first: a sync, a write
    /// with ``IOFlags/dataSync`` or ``IOFlags/sync``, or any write where the file is open with O_DSYNC
    /// or O_SYNC. Data written before may then be lost although a later sync would succeed, so later
    /// syncs answer this error, whatever it is, until ``clearSyncError()``.
    ///
    /// "Later" is what ends after the failure is known: a sync that came back well before stands. EIO is
    /// kept when a driver dies with a sync or a durable write, whose end nobody then hears.
    ///
    /// Not kept, because they say nothing about data:
    /// - EINTR and EAGAIN: it was put off before it was done; the loop tries again, and gives up after
    ///   a bounded number of times;
    /// - ECANCELED and ETIMEDOUT of an event that was cancelled or out of time;
    /// - what the engine refuses itself, such as a bad range or a closed descriptor;
    /// - EINVAL and EOPNOTSUPP of a durable write that is direct or has further flags: the kernel
    ///   refuses those before it writes;
    /// - EINVAL of a sync of what cannot be synced, such as pipes and terminals.
    ///
    /// It belongs to this object. Other descriptors of the file have a mark of their own in the
    /// kernel. Duplicates (`dup(2)`, an inherited descriptor) share this one's: whoever of them looks
    /// first takes it, so sync through one object only. An event that names this object's number as a
    /// plain `FileDescriptor` leaves its failure with its loop: see ``IOLoop/clearSyncError(_:)``.
    public var syncError: Errno? {
        let number = syncErrno.load(ordering: .acquiring)
        return number == 0 ? nil : Errno(rawValue: number)
    }

    @usableFromInline var syncErrorNumber: Int32 { syncErrno.load(ordering: .acquiring) }

    /// Says that the lost data was written again or is not needed: later syncs ask the kernel again.
    public func clearSyncError() { syncErrno.store(0, ordering: .releasing) }

    func setSyncError(_ errno: Int32) {
        _ = syncErrno.compareExchange(
            expected: 0, desired: errno, ordering: .acquiringAndReleasing)
    }
}
