/// How the driver over Linux AIO is set up.
public struct AIOConfiguration: Sendable {
    /// Requests that the kernel's context is made for, which is what counts against the sysctl
    /// fs.aio-max-nr; nil: the depth. With fewer than the depth, the others wait in the driver. At
    /// least 1; one more is taken for wake-ups.
    public var contextSize: Int?
    /// Threads at most for what would block the caller (cold reads through the page cache, writes
    /// through it or past the end of a file, allocates); nil: four a CPU, at least 8 and at most
    /// 64, and never more than the depth. They start on demand. Those that are stuck in requests
    /// which were asked to stop do not count; of them there are at most 256.
    public var helperThreads: Int?
    /// How long such a thread stays without work before it ends.
    public var idleTime: Duration
    /// Takes completions from the memory that the kernel maps, without a system call, where the kernel
    /// says that it has the known layout.
    public var reapsInUserSpace: Bool

    public init(
        contextSize: Int? = nil, helperThreads: Int? = nil, idleTime: Duration = .seconds(5),
        reapsInUserSpace: Bool = true
    ) {
        self.contextSize = contextSize
        self.helperThreads = helperThreads
        self.idleTime = idleTime
        self.reapsInUserSpace = reapsInUserSpace
    }
}
