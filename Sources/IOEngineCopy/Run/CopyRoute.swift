internal import CLinux
internal import Glibc
internal import IOEngineCore

/// What a pipeline needs to know of both ends.
struct CopyRoute {
    let source: CopySource
    let destination: IODescriptor
    /// What people call the destination.
    let name: String
    let interruption: CopyInterruption
    /// Offsets and lengths of all IOs are multiples of this, in bytes.
    let alignment: Int
    /// What is written stays in the page cache for a while.
    let buffers: Bool

    init(
        _ source: CopySource, _ destination: borrowing CopyDestination, direct: Bool,
        _ interruption: CopyInterruption
    ) {
        self.source = source
        self.destination = destination.file
        name = destination.target.path
        self.interruption = interruption
        buffers = !direct
        alignment =
            direct
            ? Self.largest(
                source.file.facts.offsetAlignment, destination.file.facts.offsetAlignment) : 1
    }

    /// Of the buffers' addresses.
    var memoryAlignment: Int {
        Self.largest(source.file.facts.memoryAlignment, destination.facts.memoryAlignment)
    }

    /// Alignments are powers of two, so the largest serves all. Files that do not tell are content
    /// with pages.
    private static func largest(_ a: Int, _ b: Int) -> Int { max(a, b, 4096) }
}

/// Has the kernel begin to write what the page cache holds of a file: a hint.
enum WriteBack {
    static func start(_ file: IODescriptor) {
        sync_file_range(file.rawValue, 0, 0, UInt32(CLinux.SYNC_FILE_RANGE_WRITE))
    }
}
