internal import Synchronization

/// Where the threads of this process wait for descriptors to be closed.
///
/// A forked child gets another: it has its parent's room with the count of those who waited there, but
/// not the threads, and whoever wakes them waits for them for ever (`pthread_cond_broadcast` of glibc
/// 2.36 does, once somebody in the child has waited too). No lock leads to it, because one could be
/// held by a thread that the child does not have.
final class ClosingRoom: Sendable {
    private let generation: UInt32
    private let room = WaitingRoom()

    private init(_ generation: UInt32) { self.generation = generation }

    /// Never freed: there is one a process, and the parent's threads may be in theirs.
    private static let latest = unsafe Atomic<Unmanaged<ClosingRoom>?>(nil)

    static var current: WaitingRoom {
        let generation = unsafe EngineLife.generation
        // Acquire: pairs with the release below.
        var seen = unsafe latest.load(ordering: .acquiring)
        while true {
            if let known = unsafe seen?.takeUnretainedValue(), known.generation == generation {
                return known.room
            }
            let made = ClosingRoom(generation)
            let (exchanged, original) = unsafe latest.compareExchange(
                expected: seen, desired: Unmanaged.passUnretained(made),
                ordering: .acquiringAndReleasing)
            if exchanged {
                _ = unsafe Unmanaged.passRetained(made)
                return made.room
            }
            unsafe seen = unsafe original
        }
    }
}
