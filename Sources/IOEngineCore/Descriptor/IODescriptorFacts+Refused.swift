internal import CLinux
internal import Glibc

/// Other ways to learn what the engine wants to know, for where a seccomp filter refuses the usual
/// one.
extension IODescriptorFacts {
    /// The flags that a file is open with; negative: it is not open, or nobody tells, and `errno`
    /// says why.
    static func statusFlags(of descriptor: Int32) -> Int32 {
        let status = fcntl(descriptor, F_GETFL)
        if status >= 0 || !SystemCall.mayBeRefusal(errno) { return status }
        let refusal = errno
        // In octal.
        let told = SmallFile.field("flags", of: "/proc/self/fdinfo/\(descriptor)")
        guard let told, let flags = Int32(told, radix: 8) else {
            errno = refusal
            return -1
        }
        return flags
    }

    /// Fills in what `statx(2)` would have said, as far as `fstat(2)` knows it: all but what direct
    /// IO needs. False: that is refused, too, and `errno` says how.
    static func fill(_ answer: inout CLinux.statx, _ descriptor: Int32) -> Bool {
        guard SystemCall.mayBeRefusal(errno) else { return false }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return false }
        answer.stx_mask = UInt32(STATX_BASIC_STATS)
        answer.stx_mode = UInt16(truncatingIfNeeded: status.st_mode)
        answer.stx_size = UInt64(clamping: status.st_size)
        answer.stx_ino = UInt64(status.st_ino)
        (answer.stx_dev_major, answer.stx_dev_minor) = parts(of: UInt64(status.st_dev))
        (answer.stx_rdev_major, answer.stx_rdev_minor) = parts(of: UInt64(status.st_rdev))
        return true
    }

    /// The numbers in a `dev_t`, as `makedev(3)` puts them together.
    package static func parts(of device: UInt64) -> (major: UInt32, minor: UInt32) {
        (
            UInt32(truncatingIfNeeded: device >> 8 & 0xfff | device >> 32 & 0xffff_f000),
            UInt32(truncatingIfNeeded: device & 0xff | device >> 12 & 0xffff_ff00)
        )
    }

    /// Whether what `lseek(2)` was refused for has offsets all the same.
    static func hasOffsets(_ mode: mode_t) -> Bool {
        SystemCall.mayBeRefusal(errno) && [.regular, .blockDevice].contains(Kind(mode: mode))
    }

    /// Bytes of a block device as /sys tells them; nil: it does not.
    static func blockDeviceSize(_ major: UInt32, _ minor: UInt32) -> Int64? {
        // Always in units of 512 bytes, whatever the sectors.
        SmallFile.number("/sys/dev/block/\(major):\(minor)/size").map { Int64($0) * 512 }
    }
}
