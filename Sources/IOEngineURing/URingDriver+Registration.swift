internal import Glibc
public import IOEngineCore

extension URingDriver {
    @unsafe
    public mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration {
        if hasRegisteredMemory {
            _ = unsafe ring.register(.noMemory, nil, count: 0)
            hasRegisteredMemory = false
        }
        if unsafe regions.isEmpty { return .registered(index: 0) }
        var vectors = unsafe regions.map { region in
            unsafe iovec(iov_base: region.baseAddress, iov_len: region.count)
        }
        let answer = unsafe ring.register(.memory, &vectors, count: vectors.count)
        guard answer == 0 else { return .unavailable(errno: -answer) }
        hasRegisteredMemory = true
        return .registered(index: 0)
    }

    public mutating func register(descriptor: Int32) -> IORegistration {
        guard registeredDescriptors.count > 0 else { return .unavailable(errno: EOPNOTSUPP) }
        guard let free = registeredDescriptors.take() else { return .unavailable(errno: ENFILE) }
        let answer = put(descriptor, at: free)
        guard answer == 1 else {
            registeredDescriptors.give(back: free)
            return .unavailable(errno: answer < 0 ? -answer : EINVAL)
        }
        return .registered(index: Int32(free))
    }

    public mutating func unregister(descriptorIndex: Int32) {
        _ = put(-1, at: Int(descriptorIndex))
        registeredDescriptors.give(back: Int(descriptorIndex))
    }

    /// Puts a descriptor, or with -1 none, into a place of the table. 1, or a negative errno.
    private func put(_ descriptor: Int32, at place: Int) -> Int32 {
        var number = descriptor
        return unsafe withUnsafeMutablePointer(to: &number) { number in
            var update = URingUpdate(
                offset: UInt32(place), data: UInt64(UInt(bitPattern: number)))
            return unsafe ring.register(.descriptorUpdate, &update, count: 1)
        }
    }
}

/// The free places in the ring's table of descriptors.
struct DescriptorPlaces {
    let count: Int
    private var free: [Int]

    init(count: Int) {
        self.count = count
        free = Array((0..<count).reversed())
    }

    mutating func take() -> Int? { free.popLast() }
    mutating func give(back place: Int) { free.append(place) }
}
