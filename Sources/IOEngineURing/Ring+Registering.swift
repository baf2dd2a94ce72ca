internal import CSystemCalls

/// What `io_uring_register(2)` is asked to do: IORING_REGISTER_* of linux/io_uring.h.
enum URingRegistration: UInt32 {
    case memory = 0
    case noMemory = 1
    case descriptors = 2
    case descriptorUpdate = 6
    case probe = 8
    case workerLimits = 19
    case ring = 20
    case noRing = 21
}

extension Ring {
    /// Registers something with the ring. Returns what the kernel answers: a number, or a negative
    /// errno.
    func register(
        _ what: URingRegistration, _ argument: UnsafeMutableRawPointer?, count: Int
    ) -> Int32 {
        unsafe linux_io_uring_register(
            memory.descriptor, what.rawValue, argument, UInt32(truncatingIfNeeded: count))
    }

    /// Registers the ring's own descriptor with this thread, so that entering costs no look at the
    /// table of descriptors. Linux 5.18. Returns the index; nil: the plain number has to serve.
    static func registerItself(_ memory: RingMemory) -> UInt32? {
        // All ones: any place will do.
        var update = URingUpdate(offset: .max, data: UInt64(memory.descriptor))
        let answer = unsafe linux_io_uring_register(
            memory.descriptor, URingRegistration.ring.rawValue, &update, 1)
        return answer == 1 ? update.offset : nil
    }

    /// The calling thread's number. Unlike its address among the C library's it is not soon used
    /// again.
    static var currentThread: Int { linux_direct_call(Int(SYS_gettid), 0, 0, 0, 0, 0, 0) }

    /// Takes the ring's registration with this thread back: it would keep the ring alive as long as
    /// the thread.
    func unregisterItself(_ index: UInt32) {
        var update = URingUpdate(offset: index, data: 0)
        _ = unsafe register(.noRing, &update, count: 1)
    }
}
