internal import Glibc
internal import IOEngineCore

extension DiskMedium {
    /// Where a sync stands that is staged now.
    func coverage(_ descriptor: Int32) -> (ordinal: UInt64, size: Int64) {
        (ordinal, openFile(descriptor)?.file.size ?? 0)
    }

    /// Makes safe what had completed up to `covered`.
    func sync(_ request: IORequest, covered: UInt64, size: Int64) -> Int {
        let (found, answer) = target(request)
        guard let open = found else { return answer }
        sync(open.file, covered: covered, size: size)
        return 0
    }

    private func sync(_ file: DiskFile, covered: UInt64, size: Int64) {
        forEachDirtyChunk(file) { chunk in
            chunk.sync(covered: covered, sectorSize: sectorSize)
        }
        file.makeSizeSafe(size)
    }

    /// A sync failed: what it should have covered is forsaken.
    func forsake(_ request: IORequest, covered: UInt64) {
        guard let file = openFile(request.descriptor)?.file else { return }
        for index in file.dirtyChunks { file.chunk(index)?.forsake(covered: covered) }
    }

    /// Lets go of all versions: what completed is safe, what is forsaken is lost.
    func writeBack() {
        for file in files {
            forEachDirtyChunk(file) { chunk in
                chunk.sync(covered: .max, sectorSize: sectorSize)
                    + chunk.loseForsaken(sectorSize: sectorSize)
            }
            file.makeSizeSafe(file.size)
        }
    }

    /// - Parameter body: Returns the bytes of history that it gave up.
    private func forEachDirtyChunk(_ file: DiskFile, _ body: (DiskChunk) -> Int) {
        if file.dirtyChunks.isEmpty { return }
        var left: [Int] = []
        for index in file.dirtyChunks {
            guard let chunk = file.chunk(index) else { continue }
            history -= body(chunk)
            if !chunk.isClean { left.append(index) }
        }
        file.dirtyChunks = left
    }

    // MARK: Allocating

    /// Modes of `fallocate(2)`.
    func allocate(_ request: IORequest, _ safety: Safety) -> Int {
        let (found, answer) = target(request)
        guard let open = found else { return answer }
        let file = open.file
        guard request.offset >= 0, request.length > 0 else { return Self.answer(EINVAL) }
        let end = request.offset.addingReportingOverflow(Int64(request.length))
        guard !end.overflow, end.partialValue <= configuration.largestFile else {
            return Self.answer(EFBIG)
        }
        let range = request.offset..<end.partialValue
        switch request.allocationMode {
        case .extend, .keepSize:
            guard reserve(file, range) else { return Self.answer(ENOSPC) }
        case .punchHole:
            zero(file, range, safety)
            release(file, range)
        case .zeroRange, .zeroRangeKeepSize:
            guard reserve(file, range) else { return Self.answer(ENOSPC) }
            zero(file, range, safety)
        default:
            return Self.answer(EOPNOTSUPP)
        }
        if request.allocationMode == .extend || request.allocationMode == .zeroRange {
            ordinal += 1
            file.grow(
                to: range.upperBound, ordinal: ordinal, keepsAll: configuration.isOrdered)
        }
        return 0
    }

    private func reserve(_ file: DiskFile, _ range: Range<Int64>) -> Bool {
        let sectors = sectors(range)
        var needed = Int64(sectors.count) - file.reserved.count(in: sectors)
        for index in file.chunkIndices(in: range) {
            guard let chunk = file.chunk(index) else { continue }
            let own = mask(of: sectors, chunk: index) & chunk.allocated
            needed -= Int64(unreserved(own, chunk: index, of: file).nonzeroBitCount)
        }
        guard needed <= sectorLimit - usedSectors else { return false }
        usedSectors += needed
        file.reserved.insert(sectors)
        return true
    }

    private func release(_ file: DiskFile, _ range: Range<Int64>) {
        let sectors = wholeSectors(range.lowerBound, Int(range.upperBound - range.lowerBound))
        if sectors.isEmpty { return }
        usedSectors -= file.reserved.count(in: sectors)
        for index in file.chunkIndices(in: range) {
            guard let chunk = file.chunk(index) else { continue }
            let own = mask(of: sectors, chunk: index) & chunk.allocated
            usedSectors -= Int64(unreserved(own, chunk: index, of: file).nonzeroBitCount)
            chunk.allocated &= ~own
        }
        file.reserved.remove(sectors)
    }

    /// Which sectors of a chunk are among these.
    private func mask(of sectors: Range<Int64>, chunk: Int) -> UInt32 {
        let first = Int64(chunk * sectorsPerChunk)
        let own = sectors.clamped(to: first..<first + Int64(sectorsPerChunk))
        return own.isEmpty ? 0 : DiskChunk.mask(Int(own.lowerBound - first), own.count)
    }

    /// Zeros what is there of a range; holes are zero already.
    private func zero(_ file: DiskFile, _ range: Range<Int64>, _ safety: Safety) {
        for index in file.chunkIndices(in: range) {
            let start = Int64(index * DiskChunk.size)
            let own = range.clamped(to: start..<start + Int64(DiskChunk.size))
            change(
                file, own.lowerBound, Int(own.upperBound - own.lowerBound), kind: .zero, safety,
                growsFile: false
            ) { chunk, within, count in
                chunk.zero(within, count)
            }
        }
    }
}
