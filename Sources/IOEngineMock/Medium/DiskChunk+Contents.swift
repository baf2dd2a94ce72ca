extension DiskChunk {
    /// Changes bits of a byte, in what reads see and in what is safe.
    func flip(_ place: Int, _ mask: UInt8) {
        unsafe Self.flip(bytes + place, mask)
        if let base = unsafe base { unsafe Self.flip(base + place, mask) }
    }

    private static func flip(_ byte: UnsafeMutableRawPointer, _ mask: UInt8) {
        unsafe byte.storeBytes(of: byte.load(as: UInt8.self) ^ mask, as: UInt8.self)
    }

    /// Makes the bytes from a place on zero, as they are beyond the end of a file.
    func zero(from place: Int64) {
        let start = Int(min(max(0, place), Int64(DiskChunk.size)))
        zero(start, DiskChunk.size - start)
    }

    func zero(_ start: Int, _ count: Int) {
        unsafe _ = (bytes + start)
            .initializeMemory(as: UInt8.self, repeating: 0, count: count)
    }

    /// Copies what lies before the end of an array into it.
    ///
    /// - Parameters:
    ///   - start: Where in the array this chunk begins.
    ///   - onlySafe: The safe version of each sector, not what reads see.
    func copy(to array: inout [UInt8], from start: Int, onlySafe: Bool, sectorSize: Int) {
        unsafe array.withUnsafeMutableBytes { target in
            guard let first = target.baseAddress else { return }
            for sector in 0..<DiskChunk.size / sectorSize {
                let place = sector * sectorSize
                let count = min(sectorSize, target.count - start - place)
                if count <= 0 { return }
                let isKept = onlySafe && dirty & 1 << UInt32(sector) != 0
                let source = unsafe isKept ? base ?? bytes : bytes
                unsafe (first + start + place).copyMemory(from: source + place, byteCount: count)
            }
        }
    }

    /// Replaces bytes by those of an array.
    func put(_ array: [UInt8], from start: Int, _ within: Int, _ count: Int) {
        unsafe array.withUnsafeBytes { source in
            guard let first = source.baseAddress else { return }
            unsafe (bytes + within).copyMemory(from: first + start, byteCount: count)
        }
    }
}
