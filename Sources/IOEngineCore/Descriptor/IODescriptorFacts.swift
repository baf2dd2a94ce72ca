internal import CLinux
internal import Glibc
public import SystemPackage

/// What the engine wants to know of an open file, so that errors help and wrong targets are refused
/// without a system call for each IO.
@frozen
public struct IODescriptorFacts: Hashable, Sendable {
    @frozen
    public enum Kind: UInt8, Hashable, Sendable {
        case regular, blockDevice, characterDevice, directory, pipe, socket, other
    }

    public var kind: Kind
    /// Whether it has offsets. Pipes, sockets and terminals have none.
    public var isSeekable: Bool
    /// Open with O_DIRECT.
    public var isDirect: Bool
    /// Open with O_APPEND.
    public var isAppending: Bool
    public var isReadable: Bool
    public var isWritable: Bool
    /// Bytes, at the time of asking.
    public var size: Int64
    /// Device and inode tell whether a number still means the same file.
    public var device: UInt64
    public var inode: UInt64
    /// What offset and length of direct IO must be a multiple of, in bytes; 1: anything goes;
    /// 0: unknown.
    public var offsetAlignment: Int
    /// The same for memory addresses.
    public var memoryAlignment: Int
    /// On a file system that keeps its data in memory (tmpfs, ramfs, hugetlbfs), where nothing waits
    /// for a device.
    public var isInMemory: Bool
    /// Open with O_DSYNC or O_SYNC: every write is durable when it has finished.
    public var isSynchronous: Bool
    /// Open with O_PATH: it names a file and cannot be used for IO.
    public var isPathOnly: Bool
    /// When the file was made, in nanoseconds since 1970; 0: unknown. With ``generation`` it tells a
    /// new file from a removed one whose inode it has.
    public var birth: Int64
    /// What the file system numbers the uses of an inode with; 0: unknown. Source:
    /// `FS_IOC_GETVERSION` of ext4, xfs, btrfs and others.
    public var generation: UInt32

    /// For drivers whose descriptors the kernel does not know.
    @inlinable
    public init(
        kind: Kind = .regular, isSeekable: Bool = true, isDirect: Bool = false,
        isAppending: Bool = false, isReadable: Bool = true, isWritable: Bool = true,
        size: Int64 = 0, device: UInt64 = 0, inode: UInt64 = 0,
        offsetAlignment: Int = 0, memoryAlignment: Int = 0, isInMemory: Bool = false,
        isSynchronous: Bool = false, isPathOnly: Bool = false, birth: Int64 = 0,
        generation: UInt32 = 0
    ) {
        self.kind = kind
        self.isSeekable = isSeekable
        self.isDirect = isDirect
        self.isAppending = isAppending
        self.isReadable = isReadable
        self.isWritable = isWritable
        self.size = size
        self.device = device
        self.inode = inode
        self.offsetAlignment = offsetAlignment
        self.memoryAlignment = memoryAlignment
        self.isInMemory = isInMemory
        self.isSynchronous = isSynchronous
        self.isPathOnly = isPathOnly
        self.birth = birth
        self.generation = generation
    }

    /// Asks the kernel: `statx(2)`, `fstatfs(2)`, `fcntl(2)`, `lseek(2)`, `preadv(2)` and `ioctl(2)`,
    /// about 1 us together.
    /// Throws EBADF for a number that is not open.
    public init(of descriptor: Int32) throws(Errno) {
        let status = Self.statusFlags(of: descriptor)
        guard status >= 0 else { throw Errno(rawValue: Glibc.errno) }
        var answer = CLinux.statx()
        let wanted = UInt32(STATX_BASIC_STATS | STATX_BTIME) | DirectAlignment.mask
        guard
            unsafe linux_statx(descriptor, "", AT_EMPTY_PATH, wanted, &answer) == 0
                || Self.fill(&answer, descriptor)
        else {
            throw Errno(rawValue: Glibc.errno)
        }
        let access = status & O_ACCMODE
        self.init(
            kind: Kind(mode: mode_t(answer.stx_mode)),
            isSeekable: lseek(descriptor, 0, SEEK_CUR) >= 0
                || Self.hasOffsets(mode_t(answer.stx_mode)),
            isDirect: status & CLinux.O_DIRECT != 0,
            isAppending: status & O_APPEND != 0,
            isReadable: access != O_WRONLY, isWritable: access != O_RDONLY,
            size: Int64(clamping: answer.stx_size),
            device: UInt64(answer.stx_dev_major) << 32 | UInt64(answer.stx_dev_minor),
            inode: answer.stx_ino)
        noteOpening(descriptor, status)
        if answer.stx_mask & UInt32(STATX_BTIME) != 0 {
            birth = answer.stx_btime.tv_sec &* 1_000_000_000 &+ Int64(answer.stx_btime.tv_nsec)
        }
        if kind == .blockDevice {
            var bytes: UInt64 = 0
            if unsafe ioctl(descriptor, Self.blockDeviceSize, &bytes) == 0 {
                size = Int64(clamping: bytes)
            } else if let told = Self.blockDeviceSize(
                answer.stx_rdev_major, answer.stx_rdev_minor)
            {
                size = told
            }
        }
        if let told = DirectAlignment(&answer) {
            offsetAlignment = told.offset
            memoryAlignment = told.memory
        }
        if kind == .regular {
            var system = CLinux.statfs()
            if unsafe fstatfs(descriptor, &system) == 0 {
                isInMemory = Self.memoryFileSystems.contains(
                    UInt32(truncatingIfNeeded: system.f_type))
            }
            var number: Int = 0
            if unsafe ioctl(descriptor, Self.inodeGeneration, &number) == 0 {
                generation = UInt32(truncatingIfNeeded: number)
            }
        }
    }

    /// What depends on how the descriptor was opened.
    ///
    /// - Parameter status: The answer to F_GETFL.
    private mutating func noteOpening(_ descriptor: Int32, _ status: Int32) {
        // O_SYNC has the bit of O_DSYNC and one more.
        isSynchronous = status & O_DSYNC != 0
        isPathOnly = status & CLinux.O_PATH != 0
        if isPathOnly {
            isReadable = false
            isWritable = false
        }
        // `lseek` answers 0 for eventfds, timers and the like, where `pread` answers ESPIPE. An empty
        // list of buffers moves nothing and is refused all the same. These have no type of file either,
        // which decides where a filter refuses the call.
        if isSeekable {
            isSeekable =
                kind != .other && (preadv(descriptor, nil, 0, 0) >= 0 || errno != ESPIPE)
        }
    }

    /// TMPFS_MAGIC, RAMFS_MAGIC and HUGETLBFS_MAGIC of `statfs(2)`.
    private static let memoryFileSystems: [UInt32] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6]

    /// FS_IOC_GETVERSION, `_IOR('v', 1, long)`: a macro that Swift cannot import.
    private static var inodeGeneration: UInt { 0x8008_7601 }

    /// BLKGETSIZE64, `_IOR(0x12, 114, size_t)`: a macro that Swift cannot import.
    private static var blockDeviceSize: UInt { 0x8008_1272 }
}

extension IODescriptorFacts.Kind {
    init(mode: mode_t) {
        switch mode & S_IFMT {
        case S_IFREG: self = .regular
        case S_IFBLK: self = .blockDevice
        case S_IFCHR: self = .characterDevice
        case S_IFDIR: self = .directory
        case S_IFIFO: self = .pipe
        case S_IFSOCK: self = .socket
        default: self = .other
        }
    }
}
