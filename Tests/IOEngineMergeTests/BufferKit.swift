import IOEngineCore
import IOEngineMerge
import Testing

/// Memory that requests without a loop point into.
@safe final class Memory {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ count: Int, byte: UInt8 = 0) {
        unsafe bytes = .allocate(byteCount: count, alignment: 4096)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: byte)
    }

    deinit { unsafe bytes.deallocate() }

    func address(_ place: Int) -> UnsafeMutableRawPointer {
        unsafe bytes.baseAddress.unsafelyUnwrapped + place
    }

    subscript(_ range: Range<Int>) -> [UInt8] {
        get { unsafe Array(bytes[range]) }
        set { unsafe bytes[range].copyBytes(from: newValue) }
    }
}

/// A buffer under test, with memory for a request of each slot.
struct BufferKit: ~Copyable {
    var buffer: MergeBuffer
    let memory: Memory
    /// Bytes of a slot's memory: those of two slots never lie one behind the other.
    let stride: Int
    let depth: Int
    var generation: UInt32 = 7

    init(
        depth: Int = 64, policy: MergePolicy = MergePolicy(copiesPartsUpTo: 0),
        maximumVectors: Int = 1024, largest: Int = 16 << 10
    ) {
        buffer = MergeBuffer(depth: depth, policy: policy, maximumVectors: maximumVectors)
        stride = largest + 4096
        memory = Memory(depth * stride)
        self.depth = depth
    }

    func token(_ slot: Int) -> IOToken { IOToken(slot: UInt32(slot), generation: generation) }

    func memory(of slot: Int, _ length: Int) -> Range<Int> {
        slot * stride..<slot * stride + length
    }

    /// A transfer with the slot's own memory.
    func request(
        _ action: IOAction, _ slot: Int, at offset: Int, _ length: Int = 4096,
        descriptor: Int32 = 3
    ) -> IORequest {
        unsafe IORequest(
            token: token(slot), action: action, descriptor: descriptor,
            address: action.isTransfer ? memory.address(slot * stride) : nil,
            offset: Int64(offset), length: length, traits: .known)
    }

    mutating func add(
        _ action: IOAction, _ slot: Int, at offset: Int, _ length: Int = 4096,
        descriptor: Int32 = 3
    ) {
        add(request(action, slot, at: offset, length, descriptor: descriptor))
    }

    mutating func add(_ request: IORequest) {
        #expect(buffer.add(request) == .queued)
    }

    /// Hands everything down that is due.
    mutating func handDown() -> [IORequest] {
        var requests: [IORequest] = []
        while let request = buffer.next() {
            requests.append(request)
            buffer.handedDown()
        }
        return requests
    }

    /// Answers of the buffer, by slot.
    mutating func finished(most: Int = 256) -> [Int: Int] {
        let space = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: most)
        defer { unsafe space.deallocate() }
        var span = unsafe OutputSpan(buffer: space, initializedCount: 0)
        buffer.takeFinished(into: &span)
        let count = unsafe span.finalize(for: space)
        var results: [Int: Int] = [:]
        for i in 0..<count {
            let completion = unsafe space[i]
            #expect(completion.token == token(Int(completion.token.slot)))
            let before = results.updateValue(completion.result, forKey: Int(completion.token.slot))
            #expect(before == nil, "a request is answered once")
        }
        return results
    }
}

/// Where requests begin and how long they are, in units of 4 KiB.
func pages(_ requests: [IORequest]) -> [[Int]] {
    requests.map { [Int($0.offset) / 4096, $0.length / 4096] }
}
