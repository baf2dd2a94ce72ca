internal import CLinux
internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// Whether the file system has data where the benchmark reads, on which it depends what a read
/// costs.
public enum FileState: String, Sendable {
    /// Holes or reserved space only: a read gives zeros and touches no device.
    case unwritten
    case written
    case partlyWritten = "partly-written"
    /// A block device: what lies there only the device knows.
    case device

    /// Finds out, with two calls of `lseek(2)`. File systems without holes answer that all is
    /// written.
    ///
    /// - Parameters:
    ///   - extent: Bytes from the file's start.
    ///   - direct: The page cache will not be used. What it holds clean of the file is then
    ///     dropped: zeros that a buffered read left there would pass for data. For buffered IO they
    ///     are data, and dropping them would change what is measured.
    static func ofFile(_ descriptor: IODescriptor, extent: Int, direct: Bool) -> FileState {
        if direct { posix_fadvise(descriptor.rawValue, 0, extent, Int32(POSIX_FADV_DONTNEED)) }
        // ENXIO: no data from there to the end.
        let data = lseek(descriptor.rawValue, 0, CLinux.SEEK_DATA)
        if data < 0 { return errno == ENXIO ? .unwritten : .written }
        if data >= extent { return .unwritten }
        if data > 0 { return .partlyWritten }
        let hole = lseek(descriptor.rawValue, 0, CLinux.SEEK_HOLE)
        return hole < 0 || hole >= extent ? .written : .partlyWritten
    }
}
