/// What an event does.
@frozen
public enum IOAction: UInt8, CaseIterable, Hashable, Sendable {
    /// `pread(2)` into one buffer.
    case read
    /// `pwrite(2)` from one buffer.
    case write
    /// `preadv(2)` into a list of buffers.
    case readVectored
    /// `pwritev(2)` from a list of buffers.
    case writeVectored
    /// `fdatasync(2)`: the data, and the metadata needed to read it back.
    case syncData
    /// `fsync(2)`: the data and all metadata.
    case syncFull
    /// `fallocate(2)`.
    case allocate
    /// Goes through the driver and does nothing. For measurements.
    case noOperation

    /// Whether bytes move between memory and file.
    @inlinable @inline(__always) public var isTransfer: Bool {
        rawValue <= IOAction.writeVectored.rawValue
    }
    @inlinable @inline(__always) public var isRead: Bool { self == .read || self == .readVectored }
    @inlinable @inline(__always) public var isWrite: Bool {
        self == .write || self == .writeVectored
    }
    @inlinable @inline(__always) public var isVectored: Bool {
        self == .readVectored || self == .writeVectored
    }
    @inlinable @inline(__always) public var isSync: Bool { self == .syncData || self == .syncFull }
    /// Whether a sync of the same descriptor waits for it: writes and allocates.
    @inlinable @inline(__always) public var changesData: Bool { isWrite || self == .allocate }
}

/// What an allocate does to its range; the modes of `fallocate(2)` that do not move data about.
@frozen
public struct IOAllocationMode: RawRepresentable, Hashable, Sendable {
    public var rawValue: Int32
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

    /// Reserves space; the file grows to the range's end if it is shorter. What is there stays.
    @inlinable public static var extend: Self { Self(rawValue: 0) }
    /// Reserves space; the file's size stays (FALLOC_FL_KEEP_SIZE).
    @inlinable public static var keepSize: Self { Self(rawValue: 1) }
    /// Gives space back; the range reads as zeros, the size stays (FALLOC_FL_PUNCH_HOLE).
    @inlinable public static var punchHole: Self { Self(rawValue: 2 | 1) }
    /// Makes the range read as zeros, mostly without writing (FALLOC_FL_ZERO_RANGE).
    @inlinable public static var zeroRange: Self { Self(rawValue: 16) }
    /// The same, but the size stays.
    @inlinable public static var zeroRangeKeepSize: Self { Self(rawValue: 16 | 1) }
}

/// Flags of one transfer: RWF_* of `preadv2(2)`. A flag that the kernel or the file system does not
/// know is answered with EOPNOTSUPP.
@frozen
public struct IOFlags: OptionSet, Hashable, Sendable {
    public var rawValue: UInt32
    @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// RWF_HIPRI (Linux 4.6): high priority. A wish that only polled devices know; ignored elsewhere.
    @inlinable public static var highPriority: Self { Self(rawValue: 1) }
    /// RWF_DSYNC (4.7): this write is durable, as after `fdatasync`, when it is finished. If it fails,
    /// later syncs of the descriptor fail, too: see ``IODescriptor/syncError``.
    @inlinable public static var dataSync: Self { Self(rawValue: 2) }
    /// RWF_SYNC (4.7): this write is durable, as after `fsync`, when it is finished. If it fails, later
    /// syncs of the descriptor fail, too: see ``IODescriptor/syncError``.
    @inlinable public static var sync: Self { Self(rawValue: 4) }
    /// RWF_NOWAIT (4.14): EAGAIN instead of waiting for the device or a lock. That EAGAIN is handed
    /// over, not retried. A file system that cannot do without waiting answers EAGAIN each time (ext4,
    /// for writes through the page cache) or EOPNOTSUPP (tmpfs).
    @inlinable public static var noWait: Self { Self(rawValue: 8) }
    /// RWF_APPEND (4.16): writes at the end of the file, whatever the offset. Never split, joined or
    /// continued. Have one direct append of a file in flight at a time: on xfs, several at once take
    /// the same place and overwrite each other (seen on Linux 6.18).
    @inlinable public static var append: Self { Self(rawValue: 16) }
    /// RWF_NOAPPEND (6.9): writes at the offset although the file is open with O_APPEND. overlayfs, the
    /// file system of most containers, loses the flag and appends, with success (seen on Linux 6.18):
    /// open a second descriptor without O_APPEND there.
    @inlinable public static var noAppend: Self { Self(rawValue: 32) }
    /// RWF_ATOMIC (6.11): the write is torn by no crash. Never split, joined or continued.
    @inlinable public static var atomic: Self { Self(rawValue: 64) }
    /// RWF_DONTCACHE (6.14): buffered, but the page cache is dropped behind.
    @inlinable public static var dontCache: Self { Self(rawValue: 128) }

    /// Whether a write with these is durable when it is finished.
    @inlinable package var makeDurable: Bool { !isDisjoint(with: [.dataSync, .sync]) }
}

/// The IO scheduler's priority of one event, as `ioprio_set(2)` numbers it.
@frozen
public struct IOPriority: RawRepresentable, Hashable, Sendable {
    public var rawValue: UInt16
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The submitting thread's own priority.
    @inlinable public static var inherited: Self { Self(rawValue: 0) }
    /// Only when nobody else wants the disk.
    @inlinable public static var idle: Self { Self(rawValue: 3 << 13) }
    /// `level` 0 (first) to 7 (last) within the normal class.
    @inlinable public static func bestEffort(level: UInt16) -> Self {
        Self(rawValue: 2 << 13 | min(level, 7))
    }
    /// Before all others; needs CAP_SYS_ADMIN or CAP_SYS_NICE, else EPERM.
    @inlinable public static func realTime(level: UInt16) -> Self {
        Self(rawValue: 1 << 13 | min(level, 7))
    }
}

/// What the engine does when the kernel moved fewer bytes than asked.
@frozen
public enum IOShortTransferMode: UInt8, Hashable, Sendable {
    /// Continues where it stopped until everything is moved, the file ends or an error comes.
    case continues
    /// Hands the event over with `isDone` false. Submitted again, it continues where it stopped.
    case handsOver
}
