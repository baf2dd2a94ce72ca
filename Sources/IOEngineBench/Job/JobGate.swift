internal import Glibc
public import Synchronization
internal import SystemPackage

/// Brings the jobs and the runner together at certain points, where all wait for the last.
///
/// Pipes do it: arriving puts a byte into one, being released takes a byte out of another. A job
/// that is quick may arrive at the next point while a slow one has not taken its byte of this one,
/// so points next to each other have different pipes. Two are enough: the next but one is not
/// released before all have arrived at the next, and then nobody is left at this one.
public final class JobGate: Sendable {
    /// Where everybody waits, in this order.
    public enum Point: Int, CaseIterable, Sendable {
        case prepared
        case measured
        case checked
    }

    private typealias Pipe = (read: FileDescriptor, write: FileDescriptor)
    private let arrivals: Pipe
    private let releases: [Pipe]
    /// IOs finished so far by all jobs, for the live line.
    @usableFromInline let finished = Atomic<UInt64>(0)
    /// Something is wrong: nobody measures.
    private let stopped = Atomic<Bool>(false)

    init() throws(BenchError) {
        do {
            let pipes = try (0..<3).map { _ in try FileDescriptor.pipe() }
                .map { (read: $0.readEnd, write: $0.writeEnd) }
            arrivals = pipes[0]
            releases = [pipes[1], pipes[2]]
        } catch {
            throw BenchError("No pipe is to be had (\(error)); raise RLIMIT_NOFILE (ulimit -n).")
        }
    }

    deinit {
        for pipe in [arrivals] + releases {
            try? pipe.read.close()
            try? pipe.write.close()
        }
    }

    var finishedCount: UInt64 { finished.load(ordering: .relaxed) }

    /// Relaxed, here and where it is read: the pipes order everything.
    func stop() { stopped.store(true, ordering: .relaxed) }
    @usableFromInline var isStopped: Bool { stopped.load(ordering: .relaxed) }

    /// A job has come so far, and goes on when all have.
    @usableFromInline
    func pass(_ point: Point) {
        Self.put(1, arrivals.write)
        Self.take(releases[point.rawValue % 2].read)
    }

    /// The runner waits for `count` jobs, and meanwhile calls `onTick` each `interval`
    /// milliseconds.
    func waitForArrivals(_ count: Int, interval: Int32?, onTick: () -> Void) {
        var missing = count
        while missing > 0 {
            var poll = pollfd(fd: arrivals.read.rawValue, events: Int16(POLLIN), revents: 0)
            let answer = unsafe Glibc.poll(&poll, 1, interval ?? -1)
            if answer == 0 { onTick() }
            if answer > 0 {
                Self.take(arrivals.read)
                missing -= 1
            }
        }
    }

    /// Lets the `count` jobs that are at a point go on.
    func release(_ count: Int, at point: Point) {
        Self.put(count, releases[point.rawValue % 2].write)
    }

    private static func put(_ count: Int, _ pipe: FileDescriptor) {
        let bytes = [UInt8](repeating: 0, count: count)
        let written = try? pipe.writeAll(bytes)
        precondition(written == count, "a pipe of our own takes a few bytes")
    }

    private static func take(_ pipe: FileDescriptor) {
        var byte: UInt8 = 0
        let taken = unsafe withUnsafeMutableBytes(of: &byte) {
            unsafe try? pipe.read(into: $0, retryOnInterrupt: true)
        }
        precondition(taken == 1, "a pipe of our own is open as long as the jobs run")
    }
}
