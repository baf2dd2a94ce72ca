/// A write whose fate a crash had to decide, because it was not safe.
public struct UnsettledWrite: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: UInt8, Hashable, Sendable {
        case write
        /// With RWF_ATOMIC: never torn.
        case atomicWrite
        /// An allocate that makes zeros.
        case zero
    }

    public enum State: UInt8, Hashable, Sendable {
        /// Completed, and no sync covered it.
        case completed
        /// Not even a later sync would have covered it: a sync that should have covered it failed, or
        /// the disk never got it.
        case forsaken
        /// Handed to the disk and not completed.
        case inFlight
    }

    /// The file's name.
    public var file: String
    /// Bytes from the start of the file.
    public var offset: Int64
    /// Bytes.
    public var length: Int
    public var kind: Kind
    public var state: State

    public var description: String {
        let what =
            switch kind {
            case .write: "write"
            case .atomicWrite: "atomic write"
            case .zero: "zeroing"
            }
        let how =
            switch state {
            case .completed: "completed, not synced"
            case .forsaken: "completed, its sync failed or never reached the disk"
            case .inFlight: "in flight"
            }
        return "\(what) of \(length) bytes at \(offset) of \(file) (\(how))"
    }
}

/// The growth of a file that a crash had to decide, because it was not safe.
public struct UnsettledGrowth: Hashable, Sendable, CustomStringConvertible {
    /// The file's name.
    public var file: String
    /// What is left at least, in bytes.
    public var safe: Int64
    /// What is left at most, in bytes.
    public var largest: Int64

    public var description: String { "growth of \(file) from \(safe) to \(largest) bytes" }
}
