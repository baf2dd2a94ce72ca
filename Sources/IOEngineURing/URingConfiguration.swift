/// How an io_uring is set up. The defaults are the fastest set-up that this kernel grants.
public struct URingConfiguration: Sendable {
    /// A kernel thread takes submissions, without system calls. Burns a core while there is work and
    /// for `idleMilliseconds` after; never a default. Linux 5.13 without privileges.
    public struct SubmissionPolling: Sendable {
        /// How long the kernel's thread polls before it sleeps.
        public var idleMilliseconds: UInt32
        /// Binds the kernel's thread to a CPU; nil: any.
        public var cpu: UInt32?

        public init(idleMilliseconds: UInt32 = 1000, cpu: UInt32? = nil) {
            self.idleMilliseconds = idleMilliseconds
            self.cpu = cpu
        }
    }

    /// The most kernel worker threads, for requests that have to block: syncs, allocates, writes
    /// through the page cache on most file systems, and whatever waits for a frozen one.
    ///
    /// A worker that waits for a file system that does not answer is no use to other files. The
    /// kernel's own limit of 4 a CPU is soon used up in this way, so the driver allows one for each
    /// request of the depth, up to 1,024. The kernel starts another worker only when all that it
    /// has are asleep, so what does not block gets no more of them than before; one takes about 25
    /// KiB while it lives and ends a few seconds after its last work. Needs Linux 5.15; the
    /// driver's `capabilities.setUp` and `ioengine doctor` tell what is in force.
    ///
    /// The workers belong to the thread that uses the ring. Rings of one thread share them, and the
    /// larger limit holds unless a smaller one is asked for here.
    ///
    /// One thing no limit helps against: the kernel does writes and allocates of one regular file
    /// one after the other, and tells files apart by 64 numbers only. While a write to one file is
    /// stuck, the writes through the page cache to about one in 64 other files wait for it. Reads,
    /// syncs and, on ext4 and xfs since Linux 6.0, direct writes do not.
    public struct KernelWorkers: Equatable, Sendable {
        /// For regular files and block devices; nil: the queue depth, at least the kernel's default
        /// of 4 a CPU, at most 1,024.
        public var bounded: UInt32?
        /// For everything else; nil: the kernel's default (RLIMIT_NPROC).
        public var unbounded: UInt32?

        public init(bounded: UInt32? = nil, unbounded: UInt32? = nil) {
            self.bounded = bounded
            self.unbounded = unbounded
        }
    }

    /// The rungs of the set-up ladder, best first. A rung that the kernel refuses is left for the
    /// next; the driver's `capabilities.setUp` says what happened.
    public enum Rung: Int, CaseIterable, Sendable {
        /// Single issuer and deferred task work (6.1), submit-all (5.18), larger completion queue.
        case deferred
        /// Cooperative task work (5.19), submit-all, larger completion queue.
        case cooperative
        /// Larger completion queue (5.5) only.
        case plain
    }

    /// Nil: no polling.
    public var submissionPolling: SubmissionPolling?
    public var kernelWorkers: KernelWorkers
    /// Places for registered descriptors; 0: none.
    public var registeredDescriptors: UInt32
    /// Where on the ladder to begin.
    public var firstRung: Rung
    /// Whether the submission queue has an index array; nil: only where the kernel wants one
    /// (before Linux 6.6). For tests.
    package var hasIndexArray: Bool?

    public init(
        submissionPolling: SubmissionPolling? = nil, kernelWorkers: KernelWorkers = .init(),
        registeredDescriptors: UInt32 = 64, firstRung: Rung = .deferred
    ) {
        self.submissionPolling = submissionPolling
        self.kernelWorkers = kernelWorkers
        self.registeredDescriptors = registeredDescriptors
        self.firstRung = firstRung
    }
}
