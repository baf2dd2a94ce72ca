internal import CLinux
internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// The file or device that is copied: open, with what was true of it when it was opened.
struct CopySource {
    let path: String
    let file: IODescriptor
    let status: FileStatus
    /// Bytes; of a device as well.
    let size: Int64

    init(_ plan: CopyPlan) throws(CopyError) {
        path = plan.source
        let what = "\(path) cannot be copied"
        let path = path
        // Before it is opened, which would wait for the other end of a pipe.
        let first = try CopyError.wrap(what) { () throws(Errno) in try FileStatus(of: path) }
        try Self.checkKind(of: first, path)
        do throws(IOError) {
            file = try IODescriptor.open(FilePath(path), .readOnly, direct: plan.direct)
        } catch {
            if plan.direct, error.errno == .invalidArgument { throw .noDirectIO(path) }
            throw CopyError(what, error)
        }
        let file = file
        status = try CopyError.wrap(what) { () throws(Errno) in try FileStatus(of: file.rawValue) }
        try Self.checkKind(of: status, path)
        size = file.facts.kind == .blockDevice ? file.facts.size : status.size
        if !plan.direct {
            // A hint, which doubles the kernel's read-ahead.
            posix_fadvise(file.rawValue, 0, 0, Int32(POSIX_FADV_SEQUENTIAL))
        }
    }

    private static func checkKind(of status: FileStatus, _ path: String) throws(CopyError) {
        switch status.kind {
        case S_IFREG, S_IFBLK: return
        case S_IFDIR:
            throw CopyError("\(path) is a directory; give a file inside it.")
        case S_IFIFO:
            throw CopyError(
                "\(path) is a pipe, which has no size; give a file, or write what comes out of it "
                    + "with: cat \(path) > file")
        default:
            throw CopyError(
                "\(path) is neither a file nor a block device; only these can be copied.")
        }
    }

    /// Throws when the file is no longer what it was when it was opened: what was copied may then be
    /// a mixture that never existed.
    func checkEnd() throws(CopyError) {
        // What is written to a device shows nowhere.
        guard status.isRegular else { return }
        let file = file
        let now = try CopyError.wrap("\(path) cannot be looked at") { () throws(Errno) in
            try FileStatus(of: file.rawValue)
        }
        if now.size != status.size { throw ended(at: now.size) }
        if now != status { throw changed("somebody wrote to it") }
        if size == 0 { try checkEmpty() }
    }

    /// What is made up when it is read, as in /proc, says that it is empty and is not.
    private func checkEmpty() throws(CopyError) {
        var page = IOBuffer(zeroed: 4096)
        var bytes = page.mutableBytes
        let count = unsafe bytes.withUnsafeMutableBytes {
            unsafe pread(file.rawValue, $0.baseAddress, $0.count, 0)
        }
        if count > 0 {
            throw CopyError(
                "\(path) has no size although it is not empty, as files in /proc; "
                    + "write what it says with: cat \(path) > file")
        }
    }

    func changed(_ how: String) -> CopyError {
        CopyError(
            "\(path) changed while it was copied: \(how); copy it again when nobody writes to it.")
    }

    /// A read met the end too early, or found something behind it.
    func ended(at end: Int64) -> CopyError {
        changed("it had \(size) bytes and now ends at \(end)")
    }
}

extension CopySource {
    /// The first run of data at or behind an offset, which is below the size. Nil: only a hole is
    /// left. File systems without holes answer that all is data.
    func data(from offset: Int64) throws(CopyError) -> Range<Int64>? {
        let start = lseek(file.rawValue, off_t(offset), CLinux.SEEK_DATA)
        if start < 0 {
            switch errno {
            case ENXIO: return nil
            case EINVAL, EOPNOTSUPP: return offset..<size
            default: throw CopyError("\(path) cannot be read", Errno(rawValue: errno))
            }
        }
        let end = lseek(file.rawValue, start, CLinux.SEEK_HOLE)
        // Behind all data there is a hole, the end of the file if no other.
        guard start >= offset, end > start else { throw changed("its holes moved") }
        return Int64(start)..<Int64(end)
    }

    /// How many bytes of data there are. Two system calls for each run of data.
    func countData() throws(CopyError) -> Int64 {
        var position: Int64 = 0
        var count: Int64 = 0
        while position < size, let data = try data(from: position) {
            position = data.upperBound
            count += Int64(data.clamped(to: 0..<size).count)
        }
        return count
    }
}

extension CopyError {
    static func noDirectIO(_ path: String) -> CopyError {
        CopyError("The file system of \(path) has no direct IO; leave --direct out.")
    }
}
