internal import CLibURing
internal import Glibc
internal import IOEngineCore
internal import Synchronization

/// The eventfd through which other threads end the ring's wait. Shared by the driver and its wakers
/// and closed when the last of them is gone, so a late wake-up never hits a number used anew.
final class WakeUpDescriptor: Sendable {
    let descriptor: Int32
    /// Whether anybody ever asked for a waker: without one, the ring need not listen.
    private let isWanted = Atomic<Bool>(false)

    /// Nil: no descriptor is to be had.
    init?() {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC))
        if descriptor < 0 { return nil }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    var isListenedTo: Bool { isWanted.load(ordering: .relaxed) }

    var waker: IOWaker {
        isWanted.store(true, ordering: .relaxed)
        return IOWaker { [self] in post() }
    }

    /// Adds one to the counter. Never blocks in practice: the counter would have to reach 2^64 - 2.
    func post() { _ = eventfd_write(descriptor, 1) }
}
