/// How a pool of threads behaves.
public struct ThreadPoolConfiguration: Sendable {
    /// Threads at most; nil: four a CPU, at least 8 and at most 64, and never more than the depth.
    /// Each keeps one request going, so this is how many the device sees at once. Threads that are
    /// stuck in requests which were asked to stop do not count; of them there are at most 256.
    public var threads: Int?
    /// How long a thread without work stays before it ends. Starting one costs about 30 us.
    public var idleTime: Duration

    public init(threads: Int? = nil, idleTime: Duration = .seconds(5)) {
        self.threads = threads
        self.idleTime = idleTime
    }
}
