internal import Glibc
internal import IOEngineCore

/// Memory for requests, with a guard before and behind it that nobody may touch.
///
/// Ownership: freed with the last reference. A check that fails leaves early, with requests in flight
/// on a driver that is wrong; so the memory is handed to `AbandonedMemory` if it was not given back by
/// `release`.
@safe
final class RigMemory {
    static let guardSize = 4096
    private let all: UnsafeMutableRawPointer
    let count: Int
    private var isReleased = false

    init(_ count: Int, filled byte: UInt8 = 0) {
        self.count = count
        unsafe all = .allocate(byteCount: count + 2 * Self.guardSize, alignment: 4096)
        unsafe _ = all.initializeMemory(
            as: UInt8.self, repeating: Self.guardByte, count: count + 2 * Self.guardSize)
        fill(byte)
    }

    convenience init(_ bytes: [UInt8]) {
        self.init(bytes.count)
        put(bytes)
    }

    deinit {
        if isReleased { unsafe all.deallocate() } else { unsafe AbandonedMemory.keep(all) }
    }

    private static let guardByte: UInt8 = 0xa7

    /// Nothing is in flight on it any more.
    func release() { isReleased = true }

    var base: UnsafeMutableRawPointer { unsafe all + Self.guardSize }

    func fill(_ byte: UInt8) {
        unsafe _ = base.initializeMemory(as: UInt8.self, repeating: byte, count: count)
    }

    func put(_ bytes: [UInt8], at place: Int = 0) {
        precondition(place + bytes.count <= count)
        unsafe bytes.withUnsafeBytes { source in
            if let start = source.baseAddress {
                unsafe (base + place).copyMemory(from: start, byteCount: bytes.count)
            }
        }
    }

    var bytes: [UInt8] { bytes(0..<count) }

    func bytes(_ range: Range<Int>) -> [UInt8] {
        unsafe Array(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Whether the guards are as they were.
    var isIntact: Bool {
        let before = unsafe UnsafeRawBufferPointer(start: all, count: Self.guardSize)
        let behind = unsafe UnsafeRawBufferPointer(start: base + count, count: Self.guardSize)
        return unsafe before.allSatisfy { $0 == Self.guardByte }
            && behind.allSatisfy { $0 == Self.guardByte }
    }
}

/// Vectors over parts of a memory.
@safe
final class RigVectors {
    private let vectors: UnsafeMutablePointer<IOVector>
    let memory: RigMemory
    let count: Int
    private var isReleased = false

    /// - Parameter lengths: Of the vectors, which lie one behind the other in the memory, each with a
    ///   byte between it and the next that nobody may touch.
    init(_ memory: RigMemory, _ lengths: [Int]) {
        self.memory = memory
        count = lengths.count
        unsafe vectors = .allocate(capacity: lengths.count)
        var place = 0
        for (index, length) in lengths.enumerated() {
            unsafe (vectors + index).initialize(
                to: IOVector(base: memory.base + place, count: length))
            place += length + 1
        }
    }

    deinit {
        if isReleased { unsafe vectors.deallocate() } else { unsafe AbandonedMemory.keep(address) }
    }

    /// Nothing is in flight on them or on their memory any more.
    func release() {
        isReleased = true
        memory.release()
    }

    var address: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(vectors) }
}
