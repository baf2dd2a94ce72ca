public import IOEngineCore

/// What a verified block holds. Each sector of 512 bytes carries its offset in the file, the seed,
/// words that follow from both, and a checksum over all that; so a block that was lost, torn or put
/// elsewhere is noticed, with whatever block size it is read.
public enum BlockPattern {
    /// Bytes.
    public static let sectorSize = 512
    private static let words = sectorSize / 8

    /// Makes the whole capacity of a buffer valid, and every whole sector of it the pattern.
    ///
    /// - Parameter offset: Where in the file the buffer's first byte goes.
    public static func fill(_ buffer: inout IOBuffer, at offset: Int64, seed: UInt64) {
        buffer.resize(to: buffer.capacity)
        let sectors = buffer.capacity / sectorSize
        var bytes = buffer.mutableBytes
        for sector in 0..<sectors {
            let start = sector * sectorSize
            let place = UInt64(bitPattern: offset) &+ UInt64(start)
            var word = scramble(place ^ scramble(seed))
            bytes.storeBytes(of: place, toByteOffset: start, as: UInt64.self)
            bytes.storeBytes(of: seed, toByteOffset: start + 8, as: UInt64.self)
            var sum = add(add(0, place), seed)
            for i in 2..<(words - 1) {
                word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes.storeBytes(of: word, toByteOffset: start + i * 8, as: UInt64.self)
                sum = add(sum, word)
            }
            bytes.storeBytes(of: sum, toByteOffset: start + (words - 1) * 8, as: UInt64.self)
        }
    }

    /// What is wrong with a block that was read, as a sentence; nil: nothing.
    public static func mismatch(
        _ buffer: borrowing IOBuffer, at offset: Int64, length: Int, seed: UInt64
    ) -> String? {
        let bytes = buffer.bytes
        if bytes.byteCount < length {
            return "the block at offset \(offset) ended after \(bytes.byteCount) of \(length) bytes"
        }
        for sector in 0..<(length / sectorSize) {
            let start = sector * sectorSize
            let place = UInt64(bitPattern: offset) &+ UInt64(start)
            if matches(bytes, start, place: place, seed: seed) { continue }
            return describe(bytes, start, place: place, seed: seed)
        }
        return nil
    }

    /// Whether a sector at the start of a file was written with this pattern and seed at all.
    static func isMarked(_ buffer: borrowing IOBuffer, seed: UInt64) -> Bool {
        let bytes = buffer.bytes
        return bytes.byteCount >= sectorSize && load(bytes, 0) == 0 && load(bytes, 8) == seed
            && load(bytes, 16) != 0
    }

    private static func matches(
        _ bytes: borrowing RawSpan, _ start: Int, place: UInt64, seed: UInt64
    ) -> Bool {
        guard load(bytes, start) == place, load(bytes, start + 8) == seed else { return false }
        var sum: UInt64 = 0
        for i in 0..<(words - 1) { sum = add(sum, load(bytes, start + i * 8)) }
        return sum == load(bytes, start + (words - 1) * 8)
    }

    private static func describe(
        _ bytes: borrowing RawSpan, _ start: Int, place: UInt64, seed: UInt64
    ) -> String {
        let foundPlace = load(bytes, start)
        let foundSeed = load(bytes, start + 8)
        let what =
            foundPlace != place
            ? "carries the offset \(foundPlace)"
            : foundSeed != seed
                ? "carries the seed \(foundSeed) instead of \(seed)" : "does not match its checksum"
        return "verify: the sector at offset \(place) \(what)"
    }

    private static func load(_ bytes: borrowing RawSpan, _ offset: Int) -> UInt64 {
        // Unsafe only for types with forbidden bit patterns; the offset is checked.
        unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// One step of the checksum. The rotation makes the order count, the odd factor every bit.
    private static func add(_ sum: UInt64, _ word: UInt64) -> UInt64 {
        ((sum << 5 | sum >> 59) ^ word) &* 0x9e37_79b9_7f4a_7c15
    }

    /// Spreads each bit over all; 0 stays 0 (the finaliser of SplitMix64).
    static func scramble(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
