internal import CLibURing
internal import Glibc
public import IOEngineCore

extension URingDriver {
    @unsafe
    public mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration {
        if hasRegisteredMemory {
            _ = unsafe io_uring_unregister_buffers(ring.description)
            hasRegisteredMemory = false
        }
        if unsafe regions.isEmpty { return .registered(index: 0) }
        let vectors = unsafe regions.map { region in
            unsafe iovec(iov_base: region.baseAddress, iov_len: region.count)
        }
        let answer = unsafe io_uring_register_buffers(
            ring.description, vectors, UInt32(vectors.count))
        guard answer == 0 else { return .unavailable(errno: -answer) }
        hasRegisteredMemory = true
        return .registered(index: 0)
    }

    public mutating func register(descriptor: Int32) -> IORegistration {
        guard registeredDescriptors.count > 0 else { return .unavailable(errno: EOPNOTSUPP) }
        guard let place = registeredDescriptors.take() else { return .unavailable(errno: ENFILE) }
        var number = descriptor
        let answer = unsafe io_uring_register_files_update(
            ring.description, UInt32(place), &number, 1)
        guard answer == 1 else {
            registeredDescriptors.give(back: place)
            return .unavailable(errno: answer < 0 ? -answer : EINVAL)
        }
        return .registered(index: Int32(place))
    }

    public mutating func unregister(descriptorIndex: Int32) {
        var none: Int32 = -1
        _ = unsafe io_uring_register_files_update(
            ring.description, UInt32(descriptorIndex), &none, 1)
        registeredDescriptors.give(back: Int(descriptorIndex))
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
