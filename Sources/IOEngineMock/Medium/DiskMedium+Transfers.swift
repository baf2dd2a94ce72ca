internal import Glibc
internal import IOEngineCore

extension DiskMedium {
    /// How far a completed write is safe.
    enum Safety {
        /// Not at all: the next sync covers it.
        case none
        /// Its bytes and the size to read them back.
        case all
        /// Its bytes.
        case data
        /// Never, whatever is synced.
        case never
        /// In flight when the disk crashed.
        case inFlight
    }

    /// Reads into the request's memory.
    func read(_ request: IORequest, limit: Int = .max) -> Int {
        let (found, answer) = target(request)
        guard let open = found else { return answer }
        let refusal = refusal(ofFlags: request.flags, request, open)
        if refusal != 0 { return refusal }
        let file = open.file
        if request.offset >= file.size { return 0 }
        if !isAligned(request, at: request.offset, open) { return Self.answer(EINVAL) }
        var length = min(request.length, IORequest.maximumTransfer, limit)
        length = Int(min(Int64(length), file.size - request.offset))
        length = lengthBeforeBad(file, request.offset, length, isWrite: false)
        if length == 0 { return Self.answer(EIO) }
        var memory = RequestMemory(request)
        forEachPart(request.offset, length) { index, within, count in
            if let chunk = file.chunk(index) {
                unsafe memory.fill(count, from: chunk.bytes + within)
            } else {
                memory.fillZeros(count)
            }
        }
        return length
    }

    /// Writes the request's memory.
    ///
    /// - Parameters:
    ///   - limit: Bytes at most.
    ///   - shift: Where it goes instead of its offset: so many bytes further.
    func write(_ request: IORequest, limit: Int = .max, shift: Int64 = 0, _ safety: Safety) -> Int {
        let (found, answer) = target(request)
        guard let open = found else { return answer }
        let file = open.file
        let appends =
            request.flags.contains(.append)
            || (open.isAppending && !request.flags.contains(.noAppend))
        let refusal = refusal(ofFlags: request.flags, request, open)
        if refusal != 0 { return refusal }
        let start = appends ? file.size : request.offset
        if !isAligned(request, at: start, open) { return Self.answer(EINVAL) }
        let offset = max(0, start.addingReportingOverflow(shift).partialValue)
        if offset >= configuration.largestFile { return Self.answer(EFBIG) }
        var length = min(request.length, IORequest.maximumTransfer, limit)
        length = Int(min(Int64(length), configuration.largestFile - offset))
        length = lengthBeforeBad(file, offset, length, isWrite: true)
        if length == 0 { return Self.answer(EIO) }
        length = lengthWithSpace(file, offset, length)
        if length == 0 { return Self.answer(ENOSPC) }
        let isWhole = length == request.length
        if request.flags.contains(.atomic), !isWhole { return Self.answer(ENOSPC) }
        var memory = RequestMemory(request)
        change(
            file, offset, length, kind: request.flags.contains(.atomic) ? .atomicWrite : .write,
            self.safety(of: request, open, safety)
        ) { chunk, within, count in
            unsafe memory.copy(count, to: chunk.bytes + within)
        }
        return length
    }

    private func safety(of request: IORequest, _ open: OpenFile, _ asked: Safety) -> Safety {
        switch asked {
        case .never, .inFlight: return asked
        case .none, .all, .data:
            if !request.flags.isDisjoint(with: [.dataSync, .sync]) { return .all }
            return open.isDirect && configuration.hasProtectedCache ? .data : asked
        }
    }

    /// Changes a range of a file, chunk by chunk, and keeps the accounts of what is safe.
    func change(
        _ file: DiskFile, _ offset: Int64, _ length: Int, kind: UnsettledWrite.Kind,
        _ safety: Safety, growsFile: Bool = true,
        _ body: (DiskChunk, _ within: Int, _ count: Int) -> Void
    ) {
        ordinal += 1
        let end = offset + Int64(length)
        forEachPart(offset, length) { index, within, count in
            let chunk = file.makeChunk(index)
            let first = within / sectorSize
            let sectors = (within + count - 1) / sectorSize - first + 1
            let wasClean = chunk.isClean
            let isSafe = safety == .all || safety == .data
            // What is not safe now has its safe version kept already.
            if !isSafe { chunk.keepBase(first, sectors, sectorSize: sectorSize) }
            body(chunk, within, count)
            let new = DiskChunk.mask(first, sectors) & ~chunk.allocated
            if new != 0 {
                usedSectors += Int64(unreserved(new, chunk: index, of: file).nonzeroBitCount)
                chunk.allocated |= new
            }
            if isSafe {
                chunk.makeSafe(first, sectors, ordinal: ordinal, sectorSize: sectorSize)
                return
            }
            let image = chunk.image(first, sectors, sectorSize: sectorSize)
            history += chunk.append(
                DiskChunk.Part(
                    ordinal: ordinal, offset: offset, length: length, kind: kind,
                    state: state(safety), first: first, count: sectors, image: image))
            if wasClean { file.dirtyChunks.append(index) }
        }
        file.badUntilRewritten.remove(wholeSectors(offset, length))
        if growsFile {
            file.grow(to: end, ordinal: ordinal, keepsAll: configuration.isOrdered)
            if safety == .all { file.makeSizeSafe(end) }
        }
        if history > configuration.historyLimit, safety != .inFlight { writeBack() }
    }

    private func state(_ safety: Safety) -> UnsettledWrite.State {
        switch safety {
        case .none, .all, .data: .completed
        case .never: .forsaken
        case .inFlight: .inFlight
        }
    }

    /// The sectors that lie in a range as a whole.
    func wholeSectors(_ offset: Int64, _ length: Int) -> Range<Int64> {
        let size = Int64(sectorSize)
        let first = (offset + size - 1) / size
        return first..<max(first, (offset + Int64(length)) / size)
    }

    /// How much of a transfer lies before the first sector that is bad for it.
    private func lengthBeforeBad(
        _ file: DiskFile, _ offset: Int64, _ length: Int, isWrite: Bool
    ) -> Int {
        if file.badForEver.isEmpty && file.badUntilRewritten.isEmpty || length == 0 {
            return length
        }
        let all = sectors(offset..<offset + Int64(length))
        var firstBad = file.badForEver.first(in: all)
        if isWrite {
            // Written in part, such a sector would have to be read first.
            let whole = wholeSectors(offset, length)
            for range in [
                all.lowerBound..<min(whole.lowerBound, all.upperBound),
                max(whole.upperBound, all.lowerBound)..<all.upperBound,
            ]
            where firstBad == nil || range.lowerBound < firstBad ?? 0 {
                if let bad = file.badUntilRewritten.first(in: range) {
                    firstBad = min(bad, firstBad ?? bad)
                }
            }
        } else if let bad = file.badUntilRewritten.first(in: all) {
            firstBad = min(bad, firstBad ?? bad)
        }
        guard let firstBad else { return length }
        return Int(max(0, firstBad * Int64(sectorSize) - offset))
    }

    /// How much of a write finds space.
    private func lengthWithSpace(_ file: DiskFile, _ offset: Int64, _ length: Int) -> Int {
        var free = sectorLimit - usedSectors
        let range = sectors(offset..<offset + Int64(length))
        if Int64(range.count) <= free { return length }
        for sector in range {
            if takesSpace(file, sector) { continue }
            if free == 0 { return Int(max(0, sector * Int64(sectorSize) - offset)) }
            free -= 1
        }
        return length
    }

    /// Whether a sector has its space already.
    func takesSpace(_ file: DiskFile, _ sector: Int64) -> Bool {
        let index = Int(sector) / sectorsPerChunk
        let bit = UInt32(1) << UInt32(Int(sector) % sectorsPerChunk)
        return file.chunk(index).map { $0.allocated & bit != 0 } ?? false
            || file.reserved.contains(sector)
    }
}
