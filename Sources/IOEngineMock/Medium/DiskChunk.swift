internal import Glibc

/// 16 KiB of a file: what reads see, what is safe, and every write between the two.
///
/// Ownership: `bytes` and `base` belong to the chunk and go with it.
@safe
final class DiskChunk {
    static let size = 16_384

    /// A write that is not safe, as far as it lies in this chunk.
    struct Part {
        /// Of its write: the order in which writes completed.
        var ordinal: UInt64
        /// The write's place in the file, for people.
        var offset: Int64
        var length: Int
        var kind: UnsettledWrite.Kind
        var state: UnsettledWrite.State
        /// Sectors of the chunk.
        var first: Int
        var count: Int
        /// Their bytes after the write.
        var image: [UInt8]
    }

    /// What reads see.
    let bytes: UnsafeMutableRawPointer
    /// What is safe, of the sectors in `dirty`; all others are safe as reads see them.
    private(set) var base: UnsafeMutableRawPointer?
    private(set) var dirty: UInt32 = 0
    /// Sectors that were written and take space.
    var allocated: UInt32 = 0
    /// In order of completion.
    private(set) var parts: [Part] = []
    /// Whether a forsaken write was ever here, since all was safe.
    private(set) var hasForsaken = false
    /// By sector: writes up to this ordinal do not count, because a later one is safe. Empty: 0.
    private(set) var floors: [UInt64] = []

    init() {
        unsafe bytes = .allocate(byteCount: Self.size, alignment: 16)
        unsafe _ = bytes.initializeMemory(as: UInt8.self, repeating: 0, count: Self.size)
    }

    /// A chunk with these bytes, all of them safe.
    init(copying source: UnsafeRawPointer) {
        unsafe bytes = .allocate(byteCount: Self.size, alignment: 16)
        unsafe bytes.copyMemory(from: source, byteCount: Self.size)
    }

    deinit {
        unsafe bytes.deallocate()
        unsafe base?.deallocate()
    }

    /// Bit by sector.
    static func mask(_ first: Int, _ count: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: ((UInt64(1) << UInt64(count)) - 1) << UInt64(first))
    }

    var isClean: Bool { dirty == 0 && parts.isEmpty }

    /// Keeps the safe version of sectors that are about to change.
    func keepBase(_ first: Int, _ count: Int, sectorSize: Int) {
        let missing = Self.mask(first, count) & ~dirty
        if missing == 0 { return }
        let base: UnsafeMutableRawPointer
        if let known = unsafe self.base {
            unsafe base = known
        } else {
            unsafe base = .allocate(byteCount: Self.size, alignment: 16)
            unsafe self.base = base
        }
        for sector in first..<first + count where missing & 1 << UInt32(sector) != 0 {
            let place = sector * sectorSize
            unsafe (base + place).copyMemory(from: bytes + place, byteCount: sectorSize)
        }
        dirty |= missing
    }

    /// Remembers a write that has changed `bytes` already. Returns the bytes kept for it.
    func append(_ part: Part) -> Int {
        parts.append(part)
        if part.state == .forsaken { hasForsaken = true }
        return part.image.count
    }

    /// A sector range as it is now, as an image for a part.
    func image(_ first: Int, _ count: Int, sectorSize: Int) -> [UInt8] {
        let size = count * sectorSize
        return unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, initialized in
            unsafe UnsafeMutableRawPointer(buffer.baseAddress.unsafelyUnwrapped)
                .copyMemory(from: bytes + first * sectorSize, byteCount: size)
            initialized = size
        }
    }

    /// Sectors are safe as reads see them, whatever was written before.
    func makeSafe(_ first: Int, _ count: Int, ordinal: UInt64, sectorSize: Int) {
        // Others are safe as reads see them already.
        for sector in first..<first + count where dirty & 1 << UInt32(sector) != 0 {
            let place = sector * sectorSize
            unsafe base?.advanced(by: place)
                .copyMemory(from: bytes + place, byteCount: sectorSize)
            setFloor(sector, ordinal)
        }
    }

    /// Makes what had completed up to `covered` safe, but for what is forsaken. Returns the bytes that
    /// need not be kept any longer.
    func sync(covered: UInt64, sectorSize: Int) -> Int {
        var freed = 0
        guard hasForsaken || (parts.last.map { $0.ordinal > covered } ?? false) else {
            for part in parts { freed += part.image.count }
            parts.removeAll(keepingCapacity: true)
            dirty = 0
            floors.removeAll(keepingCapacity: true)
            return freed
        }
        var left: [Part] = []
        for part in parts {
            if part.state == .forsaken || part.ordinal > covered {
                left.append(part)
            } else {
                place(part, onBaseWhere: { _ in true }, sectorSize: sectorSize)
                for sector in part.first..<part.first + part.count {
                    setFloor(sector, part.ordinal)
                }
                freed += part.image.count
            }
        }
        parts = left
        forgetCleanSectors(sectorSize)
        return freed
    }

    /// A sync failed: what it should have covered is not covered by later ones either.
    func forsake(covered: UInt64) {
        for i in parts.indices where parts[i].ordinal <= covered {
            parts[i].state = .forsaken
            hasForsaken = true
        }
    }

    /// Loses what is forsaken for good. Returns the bytes that need not be kept any longer.
    func loseForsaken(sectorSize: Int) -> Int {
        guard hasForsaken else { return 0 }
        var freed = 0
        parts.removeAll { part in
            if part.state == .forsaken { freed += part.image.count }
            return part.state == .forsaken
        }
        forgetCleanSectors(sectorSize)
        return freed
    }

    /// With no write left, sectors that are safe as reads see them need no other version.
    private func forgetCleanSectors(_ sectorSize: Int) {
        guard parts.isEmpty, let base = unsafe base else { return }
        for sector in 0..<Self.size / sectorSize where dirty & 1 << UInt32(sector) != 0 {
            let place = sector * sectorSize
            if unsafe memcmp(base + place, bytes + place, sectorSize) == 0 {
                dirty &= ~(1 << UInt32(sector))
            }
        }
        floors.removeAll(keepingCapacity: true)
        hasForsaken = dirty != 0
    }

    private func setFloor(_ sector: Int, _ ordinal: UInt64) {
        if floors.isEmpty { floors = Array(repeating: 0, count: 32) }
        floors[sector] = max(floors[sector], ordinal)
    }

    func floor(_ sector: Int) -> UInt64 { floors.isEmpty ? 0 : floors[sector] }

    /// Puts those sectors of a write onto the safe version that `reached` says.
    private func place(_ part: Part, onBaseWhere reached: (Int) -> Bool, sectorSize: Int) {
        guard let base = unsafe base else { return }
        unsafe place(part, on: base, where: reached, sectorSize: sectorSize)
    }

    private func place(
        _ part: Part, on target: UnsafeMutableRawPointer, where reached: (Int) -> Bool,
        sectorSize: Int
    ) {
        unsafe part.image.withUnsafeBytes { image in
            guard let source = image.baseAddress else { return }
            for sector in part.first..<part.first + part.count
            where part.ordinal > floor(sector) && reached(sector) {
                unsafe (target + sector * sectorSize).copyMemory(
                    from: source + (sector - part.first) * sectorSize, byteCount: sectorSize)
            }
        }
    }

    /// What a crash leaves: a chunk in which all is safe.
    ///
    /// - Parameter reached: Whether a write reached the disk in a sector of the chunk.
    func survivor(sectorSize: Int, reached: (Part, Int) -> Bool) -> DiskChunk {
        let survivor = unsafe DiskChunk(copying: bytes)
        survivor.allocated = allocated
        guard let base = unsafe base else { return survivor }
        for sector in 0..<Self.size / sectorSize where dirty & 1 << UInt32(sector) != 0 {
            let place = sector * sectorSize
            unsafe (survivor.bytes + place).copyMemory(from: base + place, byteCount: sectorSize)
        }
        for part in parts {
            unsafe place(
                part, on: survivor.bytes, where: { reached(part, $0) }, sectorSize: sectorSize)
        }
        return survivor
    }
}
