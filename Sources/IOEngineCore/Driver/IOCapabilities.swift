/// What a driver can do and how it was set up.
public struct IOCapabilities: Sendable {
    /// A short name: "uring", "aio", "threads".
    public var name: String
    /// Requests in flight at most.
    public var depth: Int
    /// Vectors of one request at most; 0: no vectored requests. The loop sends longer lists in parts,
    /// and single buffers where there are no vectors.
    public var maximumVectors: Int
    /// What the driver does itself. The loop answers EOPNOTSUPP for the rest.
    public var actions: Set<IOAction>
    /// Whether memory and descriptors can be registered.
    public var registersMemory: Bool
    public var registersDescriptors: Bool
    /// Whether requests, or some of them, are done with system calls of the process's own (`pread`,
    /// `fsync`). A seccomp filter may refuse each of those, and errors then name it.
    public var makesSystemCalls: Bool
    /// What may still block the thread that submits, one sentence each; empty: nothing known.
    public var mayBlockCaller: [String]
    /// How the driver was set up, for people: flags granted, what was refused and why.
    public var setUp: String

    public init(
        name: String, depth: Int = 65_536, maximumVectors: Int = 0,
        actions: Set<IOAction> = Set(IOAction.allCases),
        registersMemory: Bool = false, registersDescriptors: Bool = false,
        makesSystemCalls: Bool = false,
        mayBlockCaller: [String] = [], setUp: String = ""
    ) {
        self.name = name
        self.depth = depth
        self.maximumVectors = maximumVectors
        self.actions = actions
        self.registersMemory = registersMemory
        self.registersDescriptors = registersDescriptors
        self.makesSystemCalls = makesSystemCalls
        self.mayBlockCaller = mayBlockCaller
        self.setUp = setUp
    }
}

/// What a driver counts about itself. Never reset; only ``stuckThreads`` falls.
@frozen
public struct IODriverCounters: Equatable, Sendable {
    /// System calls made to submit, wait and reap.
    public var systemCalls: UInt64 = 0
    /// How often the completion queue had overflowed and was flushed.
    public var overflows: UInt64 = 0
    /// Threads at this moment that are stuck in requests which were asked to stop and did not: as
    /// in a frozen file system. They do not count towards the driver's limit of threads.
    public var stuckThreads: UInt64 = 0

    @inlinable public init() {}
}
