internal import Glibc

/// Tells a loop or context whether this process is a fork of the one that made it: it is then dead, and
/// must touch nothing, because ring, threads and requests belong to the parent.
///
/// Costs a load where it is asked, because `fork` itself sets the mark: the C library calls a handler
/// in the child (`pthread_atfork(3)`). A child made by a raw `clone(2)` is not noticed.
@safe @frozen @usableFromInline
struct EngineLife {
    /// Written only in a forked child, by its one thread, before `fork` returns there.
    @usableFromInline var isForked = false
    // The list of all marks, under the registry's lock.
    private var next: UnsafeMutablePointer<EngineLife>?
    private var previous: UnsafeMutablePointer<EngineLife>?

    /// Allocates a mark and enters it where the handler finds it.
    @usableFromInline
    static func begin() -> UnsafeMutablePointer<EngineLife> {
        let life = UnsafeMutablePointer<EngineLife>.allocate(capacity: 1)
        unsafe life.initialize(to: EngineLife())
        ForkRegistry.shared.locked {
            unsafe life.pointee.next = ForkRegistry.shared.first
            unsafe ForkRegistry.shared.first?.pointee.previous = life
            unsafe ForkRegistry.shared.first = unsafe life
        }
        return unsafe life
    }

    /// Frees a mark.
    @usableFromInline
    static func end(_ life: UnsafeMutablePointer<EngineLife>) {
        ForkRegistry.shared.locked {
            unsafe life.pointee.next?.pointee.previous = life.pointee.previous
            if let previous = unsafe life.pointee.previous {
                unsafe previous.pointee.next = unsafe life.pointee.next
            } else {
                unsafe ForkRegistry.shared.first = unsafe life.pointee.next
            }
        }
        unsafe life.deallocate()
    }

    /// How many forks made this process, since the first engine; 29 bits. Written only in a forked child,
    /// by its one thread, before `fork` returns there.
    nonisolated(unsafe) private(set) static var generation: UInt32 = 0

    fileprivate static func markAll() {
        unsafe generation = (generation &+ 1) & 0x1fff_ffff
        var life = unsafe ForkRegistry.shared.first
        while let here = unsafe life {
            unsafe here.pointee.isForked = true
            unsafe life = here.pointee.next
        }
    }
}

/// A mark that ends with its owner.
@safe @usableFromInline
final class OwnedLife: @unchecked Sendable {
    // Unchecked: only read, except in a forked child, which has one thread.
    private let mark: UnsafeMutablePointer<EngineLife>

    init() { unsafe mark = EngineLife.begin() }
    deinit { unsafe EngineLife.end(mark) }

    var isForked: Bool { unsafe mark.pointee.isForked }
}

/// All marks of the process. The lock is held across a fork, so that the child finds the list whole.
@safe
private final class ForkRegistry: @unchecked Sendable {
    // Unchecked: `first` is only touched under the lock.
    static let shared = ForkRegistry()
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    @unsafe var first: UnsafeMutablePointer<EngineLife>?

    private init() {
        // Made now: what is made when it is first needed, is made under a lock that a fork may find taken.
        _ = ClosingRoom.current
        unsafe lock = .allocate(capacity: 1)
        unsafe lock.initialize(to: pthread_mutex_t())
        unsafe pthread_mutex_init(lock, nil)
        pthread_atfork(
            { _ = unsafe pthread_mutex_lock(ForkRegistry.shared.lock) },
            { _ = unsafe pthread_mutex_unlock(ForkRegistry.shared.lock) },
            {
                EngineLife.markAll()
                unsafe pthread_mutex_unlock(ForkRegistry.shared.lock)
            })
    }

    func locked(_ body: () -> Void) {
        unsafe pthread_mutex_lock(lock)
        body()
        unsafe pthread_mutex_unlock(lock)
    }
}
