internal import IOEngineCore

/// Memory that requests in flight may point into.
///
/// Owns it. A buffer that ends while something of it is in flight keeps it for ever, because nobody can
/// say when the kernel has let go: it is a leak on purpose, and only after the driver below broke off.
@safe
final class KeptMemory: @unchecked Sendable {
    // Unchecked: its one owner, a buffer, is used by one thread at a time.
    let bytes: UnsafeMutableRawBufferPointer

    /// Aligned as direct IO wants it on every common device.
    init(byteCount: Int) {
        unsafe bytes = .allocate(byteCount: max(1, byteCount), alignment: 4096)
    }

    deinit { unsafe bytes.deallocate() }

    var base: UnsafeMutableRawPointer { unsafe bytes.baseAddress.unsafelyUnwrapped }

    /// Never frees it.
    func keepForEver() { AbandonedMemory.keep(self) }
}
