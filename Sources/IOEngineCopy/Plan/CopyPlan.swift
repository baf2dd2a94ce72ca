internal import IOEngineCore

/// What is to be copied, where to, and how. Plain settings; ``validate()`` says what is wrong with
/// them.
public struct CopyPlan: Equatable, Sendable {
    /// What becomes of a file that the destination's name has already.
    public enum Existing: Equatable, Sendable {
        /// It is replaced in one step, unless it is write-protected.
        case replaced
        /// It is replaced in one step, write-protected or not.
        case replacedByForce
        /// It stays, and nothing is copied.
        case kept
    }

    /// A file or a block device.
    public var source: String
    /// The copy's name, or a directory that gets a copy of the same name.
    public var destination: String
    public var existing: Existing = .replaced
    /// Past the page cache on both sides (O_DIRECT).
    public var direct = false
    /// Bytes of one read and one write. Direct IO rounds it up to what the files need.
    public var blockSize = defaultBlockSize
    /// Blocks that are read or written at the same time; each has a buffer.
    public var depth = defaultDepth
    /// Gives the copy the source's times of access and modification.
    public var keepsTimestamps = false
    /// Works as on file systems without nameless files (O_TMPFILE). For tests.
    package var avoidsNamelessFiles = false

    public init(source: String, destination: String) {
        self.source = source
        self.destination = destination
    }

    public static var defaultBlockSize: Int { 1 << 20 }
    public static var defaultDepth: Int { 8 }
}

extension CopyPlan {
    /// What a loop takes at most; drivers may take less and then say so.
    static let largestDepth = 65_536

    /// Throws one sentence about the first setting that makes no sense.
    public func validate() throws(CopyError) {
        guard blockSize > 0, blockSize <= IORequest.maximumTransfer else {
            throw CopyError(
                "A block of \(blockSize) bytes is out of range; "
                    + "give --bs 1 to \(IORequest.maximumTransfer) bytes.")
        }
        guard depth >= 1, depth <= Self.largestDepth else {
            throw CopyError(
                "A queue depth of \(depth) is out of range; "
                    + "give --iodepth 1 to \(Self.largestDepth).")
        }
        for (name, path) in [("source", source), ("destination", destination)]
        where path.isEmpty {
            throw CopyError("The \(name) has no name; give a path.")
        }
    }
}
