/// Memory that requests in flight may point into.
///
/// Owns it. A buffer that ends while something of it is in flight keeps a reference for ever, because
/// nobody can say when the kernel has let go: it is a leak on purpose, and only after the driver below
/// broke off.
@safe
final class KeptMemory {
    let bytes: UnsafeMutableRawBufferPointer

    /// Aligned as direct IO wants it on every common device.
    init(byteCount: Int) {
        unsafe bytes = .allocate(byteCount: max(1, byteCount), alignment: 4096)
    }

    deinit { unsafe bytes.deallocate() }

    var base: UnsafeMutableRawPointer { unsafe bytes.baseAddress.unsafelyUnwrapped }

    /// Never frees it.
    func keepForEver() { _ = unsafe Unmanaged.passRetained(self) }
}
