/// What direct IO on a path needs.
public struct DirectIOReport: Hashable, Sendable {
    /// How it was learnt.
    public enum Source: String, Sendable {
        /// The kernel says so (STATX_DIOALIGN, Linux 6.1).
        case kernel
        /// Direct reads with smaller and larger steps were tried.
        case trial
        /// From the block device below, whose logical sectors are what most file systems ask for.
        case device
        /// It could not be learnt.
        case none
    }

    /// Whether files open with O_DIRECT; nil: unknown.
    public internal(set) var isSupported: Bool?
    /// What offset and length must be a multiple of, in bytes; 1: anything goes; nil: unknown.
    public internal(set) var offsetAlignment: Int?
    /// The same for reads, which some file systems take in smaller steps than writes.
    public internal(set) var readOffsetAlignment: Int?
    /// The same for memory addresses.
    public internal(set) var memoryAlignment: Int?
    public internal(set) var source: Source

    static let unknown = DirectIOReport(
        isSupported: nil, offsetAlignment: nil, readOffsetAlignment: nil, memoryAlignment: nil,
        source: .none)

    static func unsupported(_ source: Source) -> DirectIOReport {
        DirectIOReport(
            isSupported: false, offsetAlignment: nil, readOffsetAlignment: nil,
            memoryAlignment: nil, source: source)
    }

    /// Nil: the kernel does not tell.
    init?(told status: FileStatus) {
        guard let direct = status.direct else { return nil }
        // All zeros means that there is no direct IO on this file.
        guard direct.offset > 0 else {
            self = .unsupported(.kernel)
            return
        }
        self.init(
            isSupported: true, offsetAlignment: direct.offset,
            readOffsetAlignment: direct.readOffset, memoryAlignment: max(1, direct.memory),
            source: .kernel)
    }

    init(
        isSupported: Bool?, offsetAlignment: Int?, readOffsetAlignment: Int?,
        memoryAlignment: Int?, source: Source
    ) {
        self.isSupported = isSupported
        self.offsetAlignment = offsetAlignment
        self.readOffsetAlignment = readOffsetAlignment
        self.memoryAlignment = memoryAlignment
        self.source = source
    }
}

/// Writes with RWF_ATOMIC on a path: all of it or nothing after a crash (Linux 6.11).
public struct AtomicWriteUnits: Hashable, Sendable {
    /// The smallest and the largest such write in bytes, each a power of two; 0: there are none here.
    public internal(set) var minimumBytes: Int
    public internal(set) var maximumBytes: Int
    /// The largest that the device itself does, without help of the file system; 0: not told (before
    /// Linux 6.16), or the same as the maximum.
    public internal(set) var optimumBytes: Int
    /// Vectors at most in one such write.
    public internal(set) var maximumVectors: Int

    public var isOffered: Bool { maximumBytes > 0 }
}

/// The sectors of a block device.
public struct BlockDeviceReport: Hashable, Sendable {
    /// Bytes that it can address, and bytes that it writes without reading first.
    public internal(set) var logicalSectorBytes: Int
    public internal(set) var physicalSectorBytes: Int
    /// Bytes of the whole device or partition.
    public internal(set) var sizeBytes: Int64
    /// Whether the kernel takes it for a disk with turning platters, as it does with many virtual ones;
    /// nil: not told.
    public internal(set) var isRotational: Bool?

    /// From /sys; nil: it does not know the device, as with file systems without one.
    init?(_ device: DeviceNumber) {
        // A partition has no queue of its own.
        let own = "/sys/dev/block/\(device)"
        for folder in ["\(own)/queue", "\(own)/../queue"] {
            guard let logical = SmallFile.number("\(folder)/logical_block_size") else { continue }
            logicalSectorBytes = logical
            physicalSectorBytes = SmallFile.number("\(folder)/physical_block_size") ?? logical
            // Always in units of 512 bytes, whatever the sectors.
            sizeBytes = SmallFile.number("\(own)/size").map { Int64($0) * 512 } ?? 0
            isRotational = SmallFile.number("\(folder)/rotational").map { $0 != 0 }
            return
        }
        return nil
    }
}
