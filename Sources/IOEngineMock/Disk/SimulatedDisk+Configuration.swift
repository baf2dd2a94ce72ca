extension SimulatedDisk {
    /// What a disk is like and what it promises.
    public struct Configuration: Hashable, Sendable {
        /// What all chance comes from.
        public var seed: UInt64
        /// Bytes of a sector, the unit that no crash tears: a power of two, 512 to 16,384.
        public var sectorSize = 512
        /// Bytes of all files together, in whole sectors. Beyond: ENOSPC.
        public var capacity: Int64 = .max
        /// Bytes of the largest file. Beyond: EFBIG.
        public var largestFile: Int64 = 1 << 44
        /// What offset and length of direct IO must be a multiple of, in bytes.
        public var offsetAlignment = 512
        /// What memory of direct IO must be a multiple of, in bytes.
        public var memoryAlignment = 512
        /// How long a read takes.
        public var readLatency = SimulatedLatency.exponential(
            minimum: .microseconds(20), mean: .microseconds(60))
        /// How long a write or an allocate takes.
        public var writeLatency = SimulatedLatency.exponential(
            minimum: .microseconds(10), mean: .microseconds(30))
        /// How long a sync takes.
        public var syncLatency = SimulatedLatency.exponential(
            minimum: .microseconds(200), mean: .microseconds(800))
        /// Whether the device writes back in the order in which writes completed, so that a crash loses
        /// only the last ones.
        public var isOrdered = false
        /// Whether direct writes are safe when they complete (power loss protection). The growth of a
        /// file needs a sync nevertheless.
        public var hasProtectedCache = false
        /// The longest write with RWF_ATOMIC, in bytes, a power of two; 0: it has none (EOPNOTSUPP).
        public var largestAtomicWrite = 16_384
        /// Percent of waits that end early, with less than was asked for.
        public var earlyWakeUps = 0
        /// The most vectors of one request; 0: no vectored requests.
        public var maximumVectors = 1024
        /// Bytes of versions kept for crashes to choose from, before the disk writes them back.
        public var historyLimit = 64 << 20
        /// Journal entries kept; its digest covers all.
        public var journalLimit = 100_000

        public init(seed: UInt64) { self.seed = seed }

        /// Requests complete when they are submitted: the fastest to simulate.
        public mutating func removeLatency() {
            readLatency = .none
            writeLatency = .none
            syncLatency = .none
        }

        func check() {
            precondition(
                sectorSize >= 512 && sectorSize <= DiskChunk.size
                    && sectorSize & (sectorSize - 1) == 0,
                "a sector is a power of two, 512 to \(DiskChunk.size) bytes")
            precondition(
                offsetAlignment >= 1 && memoryAlignment >= 1, "an alignment is at least 1 byte")
            precondition(
                capacity >= 0 && largestFile >= 0 && journalLimit >= 0 && historyLimit >= 0,
                "a limit is not negative")
        }
    }
}
