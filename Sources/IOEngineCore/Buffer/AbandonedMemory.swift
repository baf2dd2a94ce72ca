internal import Synchronization

/// Memory that the kernel may write to for as long as the process lives, because a driver died with
/// requests in flight. Kept for ever, on purpose, and reachable, so that leak checkers understand.
enum AbandonedMemory {
    private static let buffers = LockedValue<[Keeper]>([])

    /// How many buffers there are.
    static var count: Int { buffers.withLock { $0.count } }

    static func keep(_ buffer: consuming IOBuffer) {
        let keeper = Keeper(buffer)
        buffers.withLock { $0.append(keeper) }
    }

    static func keep(_ vectored: IOVectorStorage) {
        let keeper = Keeper(vectored)
        buffers.withLock { $0.append(keeper) }
    }

    /// Holds what the kernel may still use; never taken apart.
    private final class Keeper: Sendable {
        let buffer: IOBuffer
        let vectored: IOVectorStorage?

        init(_ buffer: consuming IOBuffer) {
            self.buffer = buffer
            vectored = nil
        }

        init(_ vectored: IOVectorStorage) {
            buffer = IOBuffer()
            self.vectored = vectored
        }
    }
}
