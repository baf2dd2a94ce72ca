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

    /// The most kernel worker threads, for requests that have to block.
    public struct KernelWorkers: Sendable {
        /// For regular files and block devices; nil: the kernel's default (queue depth or 4 a CPU).
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
    /// Whether the submission queue has an index array; nil: only where the kernel wants one (before
    /// Linux 6.6). For tests.
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
