internal import CLinux

/// What `statx(2)` tells of direct IO since Linux 6.1. Read by its place in the structure, which never
/// changes: the headers that a program is built with may be older than the kernel that it runs on, and
/// then have no names for it.
struct DirectAlignment {
    /// STATX_DIOALIGN.
    static let mask: UInt32 = 0x2000

    /// Bytes, of offsets and lengths.
    let offset: Int
    /// Bytes, of addresses.
    let memory: Int

    /// Nil: the kernel or the file does not tell.
    init?(_ answer: inout CLinux.statx) {
        guard answer.stx_mask & Self.mask != 0 else { return nil }
        (memory, offset) = unsafe withUnsafeBytes(of: &answer) { bytes in
            // stx_dio_mem_align and stx_dio_offset_align.
            unsafe (
                Int(bytes.loadUnaligned(fromByteOffset: 0x98, as: UInt32.self)),
                Int(bytes.loadUnaligned(fromByteOffset: 0x9c, as: UInt32.self))
            )
        }
        if offset == 0 { return nil }
    }
}
