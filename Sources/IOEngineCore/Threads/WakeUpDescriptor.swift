internal import CLinux
internal import Glibc
public import Synchronization
internal import SystemPackage

/// The eventfd through which other threads end a driver's wait in the kernel. Shared by the driver and
/// its wakers and closed when the last of them is gone, so a late wake-up never hits a number used
/// anew.
@usableFromInline
package final class WakeUpDescriptor: Sendable {
    package let descriptor: Int32
    private let process = getpid()
    /// Whether anybody ever asked for a waker: without one, the driver need not listen.
    @usableFromInline let isWanted = Atomic<Bool>(false)

    /// Throws EMFILE or ENFILE where no descriptor is to be had, ENOSYS or EPERM where a filter refuses
    /// eventfds.
    ///
    /// - Parameter waits: Whether a read of it waits for a wake-up, as a ring's does; false: ``clear()``
    ///   reads it.
    package init(waits: Bool) throws(IOError) {
        let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | (waits ? 0 : Int32(EFD_NONBLOCK)))
        if descriptor < 0 { throw Self.refusal(errno) }
        self.descriptor = descriptor
    }

    private static func refusal(_ errno: Int32) -> IOError {
        if errno == EPERM || errno == ENOSYS {
            return IOError(
                operation: .setUp, errno: Errno(rawValue: errno),
                advice: "a seccomp filter refuses the eventfd that wakes a loop up; allow eventfd2")
        }
        return IOError(operation: .setUp, errno: Errno(rawValue: errno))
    }

    deinit {
        // A forked child has what is left of the descriptors, perhaps another file under this
        // number.
        if process == getpid() { close(descriptor) }
    }

    @inlinable package var isListenedTo: Bool { isWanted.load(ordering: .relaxed) }

    package var waker: IOWaker {
        isWanted.store(true, ordering: .relaxed)
        return IOWaker { [self] in post() }
    }

    /// Adds one to the counter. Never blocks in practice: the counter would have to reach 2^64 - 2.
    package func post() { _ = eventfd_write(descriptor, 1) }

    /// Makes the descriptor readable without a wake-up: completions are to be looked for.
    package func notify() { _ = eventfd_write(descriptor, Self.notification) }

    /// Takes what was posted, so that it is not heard again.
    ///
    /// - Returns: Whether a wake-up was among it.
    @discardableResult
    package func clear() -> Bool {
        var count: eventfd_t = 0
        guard unsafe eventfd_read(descriptor, &count) == 0 else { return false }
        return count & (Self.notification - 1) != 0
    }

    /// The counter's upper half counts notifications, its lower half wake-ups.
    private static let notification: eventfd_t = 1 << 32
}
