public import IOEngineCore

/// The drivers that ``SystemDriver`` chooses from, best first.
@frozen
public enum DriverKind: String, CaseIterable, Codable, Hashable, Sendable {
    /// io_uring.
    case uring
    /// Linux AIO.
    case aio
    /// Plain system calls on threads. It works wherever a process runs.
    case threads

    /// What to know about files like this one with this driver: a sentence, or nil.
    ///
    /// Costs no system call: `facts` are what the engine has asked the kernel already.
    public func advice(for facts: IODescriptorFacts) -> String? {
        guard self == .uring, facts.isInMemory else { return nil }
        return
            "this file system keeps its data in memory and does not know NOWAIT, so io_uring sends "
            + "its reads and writes through kernel workers, which costs several times more than doing "
            + "them; for many small ones here, IOENGINE_DRIVER=threads or aio is faster"
    }
}

/// Which driver is wanted.
@frozen
public enum DriverChoice: Hashable, Sendable {
    /// The best one that works: io_uring, then Linux AIO, then threads.
    case automatic
    /// This one and no other: where it does not work, the set-up throws.
    case only(DriverKind)

    /// What people write: auto, uring, aio or threads; nil for anything else.
    public init?(_ text: String) {
        if text == "auto" {
            self = .automatic
        } else if let kind = DriverKind(rawValue: text) {
            self = .only(kind)
        } else {
            return nil
        }
    }

    /// What is tried, in order.
    var candidates: [DriverKind] {
        switch self {
        case .automatic: DriverKind.allCases
        case .only(let kind): [kind]
        }
    }
}
