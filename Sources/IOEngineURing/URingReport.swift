internal import Glibc
public import IOEngineCore
internal import SystemPackage

/// What the kernel grants an io_uring here. Found by doing: a ring is set up exactly as ``URingDriver`` sets
/// its own up, asked, used and dropped.
///
/// For reports, not for decisions: a driver that is made and works proves more than any list.
public struct URingReport: Sendable {
    /// Flags of `io_uring_setup(2)` that the ring was made with, without IORING_SETUP_.
    public internal(set) var flags: [String]
    /// What the kernel says it has, without IORING_FEAT_.
    public internal(set) var features: [String]
    /// Operations that the kernel says it has (IORING_REGISTER_PROBE, Linux 5.6), without IORING_OP_.
    /// Empty: it does not say.
    public internal(set) var operations: [String]
    /// Of those, what the driver uses and does not find; nil: the kernel does not say.
    public internal(set) var missingOperations: [String]?
    /// Places in the queues.
    public internal(set) var submissionCapacity: Int
    public internal(set) var completionCapacity: Int
    /// The most kernel workers, for the thread that asked; nil where the kernel does not say
    /// (before 5.15).
    public internal(set) var kernelWorkers: URingConfiguration.KernelWorkers
    /// Places for registered descriptors; 0: there are none.
    public internal(set) var registeredDescriptors: Int
    /// Whether memory of `memoryBytes` can be registered, which RLIMIT_MEMLOCK bounds.
    public internal(set) var memoryRegistration: IORegistration
    /// Bytes that were tried.
    public internal(set) var memoryBytes: Int
    /// Whether the submission queue has an array of indices, which Linux 6.6 and later do without.
    public internal(set) var hasIndexArray: Bool
    /// How the driver says it was set up.
    public internal(set) var setUp: String

    /// Whether this is the best of the set-ups that the driver knows (Linux 6.1).
    public var isBestSetUp: Bool { flags.contains("DEFER_TASKRUN") || flags.contains("SQPOLL") }

    /// Sets a ring up and asks. Costs milliseconds, and `memoryBytes` for that time.
    ///
    /// - Parameters:
    ///   - depth: As for the driver.
    ///   - configuration: As for the driver.
    ///   - memoryBytes: How much memory to try to register, at least 1.
    ///
    /// Throws as ``URingDriver/init(depth:configuration:)`` does.
    public init(
        depth: Int, configuration: URingConfiguration = .init(), memoryBytes: Int = 4 << 20
    ) throws(IOError) {
        precondition(memoryBytes >= 1, "registering no memory proves nothing")
        var driver = try URingDriver(depth: depth, configuration: configuration)
        flags = URingNames.names(of: driver.ring.flags, URingNames.setUpFlags)
        features = URingNames.names(of: driver.ring.features, URingNames.features)
        let supported = Self.operations(of: driver.ring)
        operations = (supported ?? []).sorted().map(URingNames.operation)
        missingOperations = supported.map { supported in
            URingNames.used.filter { !supported.contains($0) }.map(URingNames.operation)
        }
        submissionCapacity = Int(driver.ring.entryCount)
        completionCapacity = Int(driver.ring.completionCapacity)
        registeredDescriptors = driver.registeredDescriptors.count
        hasIndexArray = driver.ring.hasIndexArray
        kernelWorkers = driver.kernelWorkers
        self.memoryBytes = memoryBytes
        setUp = driver.setUp
        memoryRegistration = Self.register(memoryBytes, with: &driver)
    }

    /// Registers memory and takes that back.
    private static func register(
        _ bytes: Int, with driver: inout URingDriver
    ) -> IORegistration {
        guard
            let memory = unsafe mmap(
                nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            unsafe memory != UnsafeMutableRawPointer(bitPattern: -1)
        else { return .unavailable(errno: errno) }
        let region = unsafe UnsafeMutableRawBufferPointer(start: memory, count: bytes)
        let answer = unsafe driver.register(regions: [region])
        _ = unsafe driver.register(regions: [])
        unsafe munmap(memory, bytes)
        return answer
    }

    /// Numbers of the operations that the kernel has; nil: it does not say.
    private static func operations(of ring: borrowing Ring) -> Set<Int>? {
        // struct io_uring_probe: a header of 16 bytes, whose second byte is how many entries follow; in each
        // entry of 8 bytes the number and, at 2, the flags.
        let headerBytes = 16
        let entryBytes = 8
        let isSupported: UInt16 = 1
        let most = 256
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: headerBytes + most * entryBytes, alignment: 8)
        defer { unsafe memory.deallocate() }
        // The kernel wants zeros.
        for i in memory.indices { unsafe memory[i] = 0 }
        guard unsafe ring.register(.probe, memory.baseAddress, count: most) >= 0 else { return nil }
        var found: Set<Int> = []
        for i in unsafe 0..<Int(memory[1]) {
            let entry = headerBytes + i * entryBytes
            let flags = unsafe memory.loadUnaligned(fromByteOffset: entry + 2, as: UInt16.self)
            if flags & isSupported != 0 { unsafe found.insert(Int(memory[entry])) }
        }
        return found
    }
}
