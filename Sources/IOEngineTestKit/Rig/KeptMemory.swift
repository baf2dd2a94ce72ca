internal import IOEngineCore
internal import Synchronization

/// Memory that a driver which broke the contract may still read or write, for as long as the process
/// lives: nobody knows what such a driver goes on doing, so freeing it would let the driver spoil
/// whatever comes to lie there next.
///
/// It is held here, and not merely forgotten, so that tools which look for leaks find who owns it.
/// Bound: a check that fails, or that finds nothing to check, leaves at most the memory of its own requests, less than a megabyte, and
/// a report runs each rule once; a driver that keeps to the contract leaves nothing.
enum KeptMemory {
    private static let addresses = LockedValue<[UInt]>([])

    /// - Parameter memory: Allocated; from now on nobody else's.
    static func keep(_ memory: UnsafeMutableRawPointer) {
        let address = UInt(bitPattern: memory)
        addresses.withLock { $0.append(address) }
    }
}
