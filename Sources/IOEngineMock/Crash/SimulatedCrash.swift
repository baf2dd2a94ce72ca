/// A disk that has crashed: what was not safe at that moment, and the disks it can leave.
///
/// Each ``restart(_:)`` makes a new disk with what one fate leaves, so that one crash can be recovered
/// from in many ways.
public final class SimulatedCrash: @unchecked Sendable {
    // Unchecked: the disk gives its medium away when it crashes, and from then on it is only read.
    private let medium: DiskMedium
    /// The writes whose fate is open, in the order of completion; those in flight come last.
    public let writes: [UnsettledWrite]
    /// The files whose size is open.
    public let growths: [UnsettledGrowth]
    /// The time of the crash, in nanoseconds on the disk's clock.
    public let nanoseconds: Int64
    /// What further chance comes from.
    private let seed: UInt64
    /// The ordinals of `writes`.
    private let ordinals: [UInt64]
    /// The files of `growths`, by their number.
    private let growingFiles: [Int]

    init(_ medium: DiskMedium, nanoseconds: Int64, seed: UInt64) {
        self.medium = medium
        self.nanoseconds = nanoseconds
        self.seed = seed
        var found: [(ordinal: UInt64, write: UnsettledWrite)] = []
        var growing: [Int] = []
        for file in medium.files where !file.isRemoved {
            var seen: [(ordinal: UInt64, write: UnsettledWrite)] = []
            for index in file.dirtyChunks.sorted() {
                for part in file.chunks[index]?.parts ?? [] {
                    seen.append(
                        (
                            part.ordinal,
                            UnsettledWrite(
                                file: file.name, offset: part.offset, length: part.length,
                                kind: part.kind, state: part.state)
                        ))
                }
            }
            found += seen
            if file.size > file.safeSize { growing.append(file.number) }
        }
        // A write that lies in several chunks was met several times.
        found.sort { $0.ordinal < $1.ordinal }
        var ordinals: [UInt64] = []
        var writes: [UnsettledWrite] = []
        for (ordinal, write) in found where ordinal != ordinals.last {
            ordinals.append(ordinal)
            writes.append(write)
        }
        self.ordinals = ordinals
        self.writes = writes
        growingFiles = growing
        growths = growing.map { number in
            let file = medium.files[number]
            return UnsettledGrowth(file: file.name, safe: file.safeSize, largest: file.size)
        }
    }

    /// Draws a fate, within what the disk promises.
    public func drawFate(seed: UInt64) -> CrashFate {
        var random = SimulationRandom(seed: SimulationRandom.hash(self.seed, seed))
        if medium.configuration.isOrdered { return drawOrderedFate(&random) }
        // Some crashes lose nearly all, some nearly nothing.
        let kept = random.one(of: [10, 50, 90])
        let torn = random.one(of: [0, 20, 50])
        let writes = writes.map { write -> CrashFate.Write in
            if write.kind != .atomicWrite, random.happens(torn) {
                return .torn(seed: random.next() >> 48)
            }
            return random.happens(kept) ? .reached : .lost
        }
        let growths = growths.map { _ -> CrashFate.Growth in
            switch random.below(4) {
            case 0: .lost
            case 1: .partly(seed: random.next() >> 48)
            default: .whole
            }
        }
        return CrashFate(writes: writes, growths: growths)
    }

    private func drawOrderedFate(_ random: inout SimulationRandom) -> CrashFate {
        let kept = random.below(writes.count + 1)
        var fates = [CrashFate.Write](repeating: .lost, count: writes.count)
        for i in 0..<kept { fates[i] = .reached }
        if kept < writes.count, writes[kept].kind != .atomicWrite, random.happens(50) {
            fates[kept] = .torn(seed: random.next() >> 48)
        }
        // Forsaken ones never come by writing back.
        for i in writes.indices where writes[i].state == .forsaken { fates[i] = .lost }
        return CrashFate(
            writes: fates, growths: Array(repeating: .whole, count: growths.count))
    }

    /// A disk with what a fate leaves, all of it safe, its clock at the time of the crash. Descriptors
    /// of the old disk mean nothing on it: open the files again. Bad sectors stay bad; other faults
    /// are the old disk's.
    ///
    /// - Parameter fate: Nil: one drawn from the disk's own seed.
    public func restart(_ fate: CrashFate? = nil) -> SimulatedDisk {
        let fate = fate ?? drawFate(seed: 0)
        precondition(
            fate.writes.count == writes.count && fate.growths.count == growths.count,
            "the fate is that of another crash")
        let survivor = DiskMedium(medium.configuration)
        for file in medium.files where !file.isRemoved { settle(file, fate, on: survivor) }
        survivor.usedSectors = medium.usedSectors
        return SimulatedDisk(
            survivor, clock: nanoseconds, seed: SimulationRandom.hash(seed, 0x7265_7374))
    }

    private func settle(_ file: DiskFile, _ fate: CrashFate, on survivor: DiskMedium) {
        let copy = survivor.makeFile(file.name, kind: file.kind)
        copy.reserved = file.reserved
        copy.badForEver = file.badForEver
        copy.badUntilRewritten = file.badUntilRewritten
        let size = size(of: file, fate)
        copy.size = size
        copy.safeSize = size
        let sectorSize = medium.sectorSize
        for index in file.chunkIndices {
            guard let chunk = file.chunks[index] else { continue }
            let left = chunk.survivor(sectorSize: sectorSize) { part, sector in
                let number = index * medium.sectorsPerChunk + sector
                return reached(part, sector: number, fate)
            }
            left.zero(from: size - Int64(index * DiskChunk.size))
            copy.put(left, index)
        }
    }

    private func reached(_ part: DiskChunk.Part, sector: Int, _ fate: CrashFate) -> Bool {
        guard let place = place(of: part.ordinal) else { return false }
        switch fate.writes[place] {
        case .reached: return true
        case .lost: return false
        case .torn(let seed):
            // By hand an atomic write may have been given this fate: the device keeps its promise.
            if part.kind == .atomicWrite { return seed & 1 == 1 }
            return SimulationRandom.hash(seed, UInt64(sector)) & 1 == 1
        }
    }

    private func place(of ordinal: UInt64) -> Int? {
        var low = 0
        var high = ordinals.count
        while low < high {
            let middle = (low + high) / 2
            if ordinals[middle] < ordinal { low = middle + 1 } else { high = middle }
        }
        return low < ordinals.count && ordinals[low] == ordinal ? low : nil
    }

    private func size(of file: DiskFile, _ fate: CrashFate) -> Int64 {
        guard let place = growingFiles.firstIndex(of: file.number) else { return file.size }
        if medium.configuration.isOrdered { return orderedSize(of: file, fate) }
        switch fate.growths[place] {
        case .whole: return file.size
        case .lost: return file.safeSize
        case .partly(let seed):
            let sector = Int64(medium.sectorSize)
            let first = file.safeSize / sector + 1
            let last = (file.size - 1) / sector
            if last < first { return file.safeSize }
            let drawn = SimulationRandom.hash(seed, UInt64(file.number)) % UInt64(last - first + 1)
            return (first + Int64(drawn)) * sector
        }
    }

    /// On an ordered disk the size follows the writes: what the last one that reached the disk gave it.
    private func orderedSize(of file: DiskFile, _ fate: CrashFate) -> Int64 {
        guard let last = fate.writes.lastIndex(where: { $0 != .lost }) else { return file.safeSize }
        let isTorn = if case .torn = fate.writes[last] { true } else { false }
        let ordinal = isTorn ? ordinals[last] - 1 : ordinals[last]
        return file.growths.last { $0.ordinal <= ordinal }?.size ?? file.safeSize
    }
}
