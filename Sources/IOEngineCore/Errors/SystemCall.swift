internal import CLinux
internal import Glibc

/// A system call that a seccomp filter may refuse, where that must be told from what a file
/// refuses: both answer EPERM.
///
/// A filter answers before the kernel looks at the arguments. ``isRefused`` therefore makes the
/// call with arguments that no kernel accepts: if it gets through, the answer is EBADF or the like.
package enum SystemCall: UInt8, CaseIterable, Sendable {
    case pread64 = 1
    case pwrite64, preadv, pwritev, preadv2, pwritev2
    case fsync, fdatasync, fallocate
    case openat, close, fcntl, statx
    case ioprioSet
    case clone3, clone, mprotect

    /// As manuals and seccomp profiles spell it.
    package var name: String { self == .ioprioSet ? "ioprio_set" : "\(self)" }

    /// Whether a filter refuses it to this thread. Costs a system call; has no effect.
    package var isRefused: Bool {
        linux_call(Int(number), wrong, 0, 0) < 0 && Self.mayBeRefusal(errno)
    }

    /// Whether a filter may have given this answer. `libseccomp` and container runtimes use these
    /// two.
    package static func mayBeRefusal(_ errno: Int32) -> Bool { errno == EPERM || errno == ENOSYS }

    /// The first of these calls that a filter refuses; nil: none.
    package static func refused(among calls: [SystemCall]) -> SystemCall? {
        calls.first { $0.isRefused }
    }

    /// What to do about a refusal: a sentence.
    package var advice: String {
        "a seccomp filter refuses the system call \(name); allow it, for example in the "
            + "container's seccomp profile"
    }

    /// The sentence about the first of these calls that a filter refuses. Nil: none of them, or the
    /// errno is no filter's.
    package static func advice(among calls: [SystemCall], _ errno: Int32) -> String? {
        mayBeRefusal(errno) ? refused(among: calls)?.advice : nil
    }

    /// What starting a thread takes, as the C library does it.
    package static var startingThreads: [SystemCall] { [.clone3, .clone, .mprotect] }

    private var number: Int32 {
        switch self {
        case .pread64: SYS_pread64
        case .pwrite64: SYS_pwrite64
        case .preadv: SYS_preadv
        case .pwritev: SYS_pwritev
        case .preadv2: SYS_preadv2
        case .pwritev2: SYS_pwritev2
        case .fsync: SYS_fsync
        case .fdatasync: SYS_fdatasync
        case .fallocate: SYS_fallocate
        case .openat: SYS_openat
        case .close: SYS_close
        case .fcntl: SYS_fcntl
        case .statx: SYS_statx
        case .ioprioSet: SYS_ioprio_set
        case .clone3: SYS_clone3
        case .clone: SYS_clone
        case .mprotect: SYS_mprotect
        }
    }

    /// A first argument that makes the call fail, whatever the others.
    private var wrong: Int {
        switch self {
        case .pread64, .pwrite64, .preadv, .pwritev, .preadv2, .pwritev2, .fsync, .fdatasync,
            .fallocate, .openat, .close, .fcntl, .statx:
            // No descriptor; and openat and statx get no path.
            -1
        case .ioprioSet:
            // Neither process, group nor user.
            -1
        case .clone3:
            // No arguments, of no size.
            0
        case .clone:
            // CLONE_THREAD without what it needs.
            0x1_0000
        case .mprotect:
            // Not at the start of a page.
            1
        }
    }
}

extension SystemCall {
    /// The calls with which a thread of the engine does an action.
    ///
    /// - Parameter hasPriority: Whether the request has an IO priority of its own.
    static func used(for action: IOAction, _ flags: IOFlags, hasPriority: Bool) -> [SystemCall] {
        var calls: [SystemCall]
        switch action {
        case .read: calls = flags.isEmpty ? [.pread64, .preadv] : [.preadv2]
        case .write: calls = flags.isEmpty ? [.pwrite64, .pwritev] : [.pwritev2]
        case .readVectored: calls = flags.isEmpty ? [.preadv, .preadv2] : [.preadv2]
        case .writeVectored: calls = flags.isEmpty ? [.pwritev, .pwritev2] : [.pwritev2]
        case .syncData: calls = [.fdatasync, .fsync]
        case .syncFull: calls = [.fsync]
        case .allocate: calls = [.fallocate]
        case .noOperation: calls = []
        }
        if hasPriority, action.isTransfer { calls.append(.ioprioSet) }
        return calls + startingThreads
    }
}
