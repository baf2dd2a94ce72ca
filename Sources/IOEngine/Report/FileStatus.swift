internal import CLinux
internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// What `statx(2)` tells, newer fields included. They are taken from where the ABI has them, because the
/// headers of older C libraries end before them; a kernel that does not know them leaves their bit out.
struct FileStatus {
    let kind: IODescriptorFacts.Kind
    let size: Int64
    /// The device that the file is on, and the device that it is.
    let device: DeviceNumber
    let ownDevice: DeviceNumber
    /// Nil: not told (before Linux 5.8).
    let mountID: UInt64?
    /// Nil: not told (before Linux 6.1, directories, some file systems).
    let direct: (offset: Int, readOffset: Int, memory: Int)?
    /// Nil: not told (before Linux 6.11).
    let atomicWrites: AtomicWriteUnits?

    /// Asks about a path, or with an empty one about a descriptor.
    init(_ descriptor: Int32 = AT_FDCWD, path: String) throws(Errno) {
        var answer = CLinux.statx()
        let wanted =
            UInt32(STATX_BASIC_STATS) | Told.mountID | Told.direct | Told.atomicWrites
            | Told.directRead
        let flags = path.isEmpty ? AT_EMPTY_PATH : 0
        if unsafe linux_statx(descriptor, path, flags, wanted, &answer) != 0 {
            // A filter that does not know statx leaves fstatat.
            guard SystemCall.mayBeRefusal(Glibc.errno) else { throw Errno(rawValue: Glibc.errno) }
            try Self.fill(&answer, descriptor, path, flags)
        }
        let told = answer.stx_mask
        kind = Self.kind(mode_t(answer.stx_mode))
        size = Int64(clamping: answer.stx_size)
        device = DeviceNumber(major: answer.stx_dev_major, minor: answer.stx_dev_minor)
        ownDevice = DeviceNumber(major: answer.stx_rdev_major, minor: answer.stx_rdev_minor)
        (mountID, direct, atomicWrites) = unsafe withUnsafeBytes(of: &answer) { bytes in
            func field(_ offset: Int) -> Int {
                unsafe Int(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            }
            let mount = unsafe bytes.loadUnaligned(fromByteOffset: 0x90, as: UInt64.self)
            let offset = field(0x9c)
            let readOffset = told & Told.directRead != 0 ? field(0xb4) : 0
            return (
                told & Told.mountID != 0 ? mount : Self.mountID(descriptor, path),
                told & Told.direct != 0
                    ? (offset, readOffset > 0 ? readOffset : offset, field(0x98)) : nil,
                told & Told.atomicWrites != 0
                    ? AtomicWriteUnits(
                        minimumBytes: field(0xa8), maximumBytes: field(0xac),
                        optimumBytes: field(0xb8), maximumVectors: field(0xb0)) : nil
            )
        }
    }

    /// What `fstatat(2)` knows of it.
    private static func fill(
        _ answer: inout CLinux.statx, _ descriptor: Int32, _ path: String, _ flags: Int32
    ) throws(Errno) {
        var status = stat()
        guard unsafe fstatat(descriptor, path, &status, flags) == 0 else {
            throw Errno(rawValue: Glibc.errno)
        }
        answer.stx_mode = UInt16(truncatingIfNeeded: status.st_mode)
        answer.stx_size = UInt64(clamping: status.st_size)
        (answer.stx_dev_major, answer.stx_dev_minor) = IODescriptorFacts.parts(
            of: UInt64(status.st_dev))
        (answer.stx_rdev_major, answer.stx_rdev_minor) = IODescriptorFacts.parts(
            of: UInt64(status.st_rdev))
    }

    /// The mount as /proc tells it of an open file. Without it, any mount of the same device would
    /// do, also one that is read-only and elsewhere.
    private static func mountID(_ descriptor: Int32, _ path: String) -> UInt64? {
        var number = descriptor
        if !path.isEmpty {
            number = unsafe openat(descriptor, path, CLinux.O_PATH | O_CLOEXEC)
            if number < 0 { return nil }
        }
        defer { if number != descriptor { close(number) } }
        return SmallFile.field("mnt_id", of: "/proc/self/fdinfo/\(number)").flatMap { UInt64($0) }
    }

    private static func kind(_ mode: mode_t) -> IODescriptorFacts.Kind {
        switch mode & S_IFMT {
        case S_IFREG: .regular
        case S_IFBLK: .blockDevice
        case S_IFCHR: .characterDevice
        case S_IFDIR: .directory
        case S_IFIFO: .pipe
        case S_IFSOCK: .socket
        default: .other
        }
    }

    /// Bits of the mask: STATX_MNT_ID, STATX_DIOALIGN, STATX_WRITE_ATOMIC, STATX_DIO_READ_ALIGN.
    private enum Told {
        static let mountID: UInt32 = 0x1000
        static let direct: UInt32 = 0x2000
        static let atomicWrites: UInt32 = 0x1_0000
        static let directRead: UInt32 = 0x2_0000
    }
}

/// Major and minor, as /sys and /proc print them.
struct DeviceNumber: Equatable, CustomStringConvertible {
    let major: UInt32
    let minor: UInt32

    var description: String { "\(major):\(minor)" }
}
