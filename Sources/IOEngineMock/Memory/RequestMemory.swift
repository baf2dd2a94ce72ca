internal import IOEngineCore

/// The memory of a transfer, one piece after the other, for those who copy it themselves.
///
/// Ownership: a view. The loop owns the memory and keeps it until the request's completion is reaped;
/// this lives within one call before that.
@safe
struct RequestMemory {
    private let single: UnsafeMutableRawPointer?
    private let vectors: UnsafeMutablePointer<IOVector>?
    private let vectorCount: Int
    private var index = 0
    /// Bytes of the current piece that are done.
    private var done = 0

    /// Bytes in all.
    let count: Int

    init(_ request: IORequest) {
        count = request.length
        if request.action.isVectored {
            unsafe single = nil
            unsafe vectors = request.address?.assumingMemoryBound(to: IOVector.self)
            vectorCount = Int(request.vectorCount)
        } else {
            unsafe single = request.address
            unsafe vectors = nil
            vectorCount = 1
        }
    }

    /// Visits the next `count` bytes, in as many pieces as they lie in.
    mutating func forNext(
        _ count: Int, _ body: (UnsafeMutableRawPointer, _ offset: Int, _ count: Int) -> Void
    ) {
        var left = count
        while left > 0 {
            if let single = unsafe single {
                unsafe body(single + done, count - left, left)
                done += left
                return
            }
            guard let vectors = unsafe vectors, index < vectorCount else { return }
            let piece = unsafe vectors[index]
            if done == piece.count {
                index += 1
                done = 0
                continue
            }
            let here = min(left, piece.count - done)
            unsafe body(piece.base + done, count - left, here)
            done += here
            left -= here
        }
    }

    /// Copies the next bytes into a file's memory.
    mutating func copy(_ count: Int, to target: UnsafeMutableRawPointer) {
        unsafe forNext(count) { memory, offset, count in
            unsafe (target + offset).copyMemory(from: memory, byteCount: count)
        }
    }

    /// Fills the next bytes from a file's memory.
    mutating func fill(_ count: Int, from source: UnsafeRawPointer) {
        unsafe forNext(count) { memory, offset, count in
            unsafe memory.copyMemory(from: source + offset, byteCount: count)
        }
    }

    /// Fills the next bytes with zeros.
    mutating func fillZeros(_ count: Int) {
        unsafe forNext(count) { memory, _, count in
            unsafe _ = memory.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        }
    }

    /// A copy of the next bytes.
    mutating func bytes(_ count: Int) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            if let base = buffer.baseAddress {
                unsafe copy(count, to: UnsafeMutableRawPointer(base))
            }
            initialized = count
        }
    }

    /// Fills the next bytes with those of an array, and with zeros where it ends.
    mutating func fill(_ count: Int, with source: [UInt8]) {
        let known = min(count, source.count)
        unsafe source.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { unsafe fill(known, from: base) }
        }
        fillZeros(count - known)
    }

    /// Whether all pieces lie at multiples of `alignment`, and have such lengths.
    func isAligned(to alignment: Int) -> Bool {
        if alignment <= 1 { return true }
        var copy = self
        var isAligned = true
        unsafe copy.forNext(count) { memory, _, count in
            if UInt(bitPattern: memory) % UInt(alignment) != 0 || count % alignment != 0 {
                isAligned = false
            }
        }
        return isAligned
    }

    /// Flips `bits` bits among the first `moved` bytes.
    func flip(bits: Int, ofFirst moved: Int, _ random: inout SimulationRandom) {
        guard moved > 0 else { return }
        for _ in 0..<bits {
            let place = random.below(moved)
            let mask = UInt8(1) << UInt8(random.below(8))
            var copy = self
            unsafe copy.forNext(moved) { memory, offset, count in
                guard place >= offset, place < offset + count else { return }
                let byte = unsafe memory.load(fromByteOffset: place - offset, as: UInt8.self)
                unsafe memory.storeBytes(
                    of: byte ^ mask, toByteOffset: place - offset, as: UInt8.self)
            }
        }
    }
}
