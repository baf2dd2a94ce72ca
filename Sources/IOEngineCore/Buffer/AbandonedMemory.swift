/// Memory that may be written to for as long as the process lives: a driver died, or broke the contract,
/// with requests in flight, and nobody knows when it lets go. Kept for ever, on purpose, and reachable, so
/// that leak checkers understand.
///
/// Bound: what such a driver had in flight; nothing of one that keeps to the contract.
package enum AbandonedMemory {
    private static let addresses = LockedValue<[UInt]>([])

    /// - Parameter memory: Allocated; from now on nobody else's.
    package static func keep(_ memory: UnsafeMutableRawPointer) {
        let address = UInt(bitPattern: memory)
        addresses.withLock { $0.append(address) }
    }

    /// Keeps an object, and with it the memory that it owns.
    package static func keep(_ owner: AnyObject) {
        unsafe keep(Unmanaged.passRetained(owner).toOpaque())
    }

    static func keep(_ buffer: consuming IOBuffer) { keep(Keeper(buffer)) }

    private final class Keeper {
        let buffer: IOBuffer
        init(_ buffer: consuming IOBuffer) { self.buffer = buffer }
    }
}
