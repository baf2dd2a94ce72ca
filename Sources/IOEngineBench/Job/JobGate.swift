internal import Glibc
public import Synchronization
internal import SystemPackage

/// Brings the jobs and the runner together: before the measured time, and after it.
///
/// Two pipes: arriving puts a byte into the first, being released takes one out of the second. The
/// runner lets nobody through before all have arrived, so no job can take another's byte.
public final class JobGate: Sendable {
    private let arrivals: (read: FileDescriptor, write: FileDescriptor)
    private let releases: (read: FileDescriptor, write: FileDescriptor)
    /// IOs finished so far by all jobs, for the live line.
    @usableFromInline let finished = Atomic<UInt64>(0)
    /// Something is wrong: nobody measures.
    private let stopped = Atomic<Bool>(false)

    init() throws(BenchError) {
        do {
            let first = try FileDescriptor.pipe()
            arrivals = (first.readEnd, first.writeEnd)
            let second = try FileDescriptor.pipe()
            releases = (second.readEnd, second.writeEnd)
        } catch {
            throw BenchError("No pipe is to be had (\(error)); raise RLIMIT_NOFILE (ulimit -n).")
        }
    }

    deinit {
        for descriptor in [arrivals.read, arrivals.write, releases.read, releases.write] {
            try? descriptor.close()
        }
    }

    var finishedCount: UInt64 { finished.load(ordering: .relaxed) }

    /// Relaxed, here and where it is read: the pipes order everything.
    func stop() { stopped.store(true, ordering: .relaxed) }
    @usableFromInline var isStopped: Bool { stopped.load(ordering: .relaxed) }

    /// A job has come so far, and goes on when all have.
    @usableFromInline
    func pass() {
        Self.put(1, arrivals.write)
        Self.take(1, releases.read)
    }

    /// The runner waits for `count` jobs, and meanwhile calls `onTick` each `interval` milliseconds.
    func waitForArrivals(_ count: Int, interval: Int32?, onTick: () -> Void) {
        var missing = count
        while missing > 0 {
            var poll = pollfd(fd: arrivals.read.rawValue, events: Int16(POLLIN), revents: 0)
            let answer = unsafe Glibc.poll(&poll, 1, interval ?? -1)
            if answer == 0 { onTick() }
            if answer > 0 {
                Self.take(1, arrivals.read)
                missing -= 1
            }
        }
    }

    /// Lets `count` jobs go on.
    func release(_ count: Int) { Self.put(count, releases.write) }

    private static func put(_ count: Int, _ pipe: FileDescriptor) {
        let bytes = [UInt8](repeating: 0, count: count)
        let written = try? pipe.writeAll(bytes)
        precondition(written == count, "a pipe of our own takes a few bytes")
    }

    private static func take(_ count: Int, _ pipe: FileDescriptor) {
        var byte: UInt8 = 0
        for _ in 0..<count {
            let taken = unsafe withUnsafeMutableBytes(of: &byte) {
                unsafe try? pipe.read(into: $0, retryOnInterrupt: true)
            }
            precondition(taken == 1, "a pipe of our own is open as long as the jobs run")
        }
    }
}
