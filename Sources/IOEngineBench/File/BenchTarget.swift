internal import CLinux
internal import Glibc
public import IOEngineCore
internal import SystemPackage

/// The file that is measured: opened, large enough, and with its state known.
public struct BenchTarget: Sendable {
    /// Owns the descriptor; the file is closed with the last job.
    public let file: IODescriptor
    let isDirect: Bool
    let isTemporary: Bool
    /// It was not there and was made under the path that was asked for.
    var isMade = false
    /// What people call it.
    let name: String
    /// Before the measured time, over the bytes that take part.
    internal(set) public var state: FileState
    /// The file is to be written from one end to the other before it is measured.
    let needsLayout: Bool
    /// What did not go as asked for, and what was done instead.
    var notes: [String] = []

    /// Opens or makes the file. A device that is smaller than asked for lowers `plan.size`.
    static func prepare(_ plan: inout BenchPlan) throws(BenchError) -> BenchTarget {
        guard let path = plan.path else { return try prepareTemporary(plan) }
        var status = stat()
        let exists = unsafe stat(path, &status) == 0
        if !exists, errno == ENOENT { return try create(path, plan) }
        return try openExisting(path, &plan)
    }

    /// A file of ours that has no name any more before anything can go wrong: however the process
    /// ends, the kernel frees it.
    private static func prepareTemporary(_ plan: BenchPlan) throws(BenchError) -> BenchTarget {
        var notes: [String] = []
        var isDirect = plan.direct ?? true
        var file: IODescriptor
        do throws(IOError) {
            file = try openTemporary(direct: isDirect)
        } catch {
            guard plan.direct == nil, error.errno == .invalidArgument else {
                throw BenchError(error)
            }
            isDirect = false
            notes.append("the current directory's file system has no direct IO")
            do throws(IOError) {
                file = try openTemporary(direct: false)
            } catch { throw BenchError(error) }
        }
        try allocate(file, plan.size, "a temporary file", &notes)
        try checkAlignment(file, isDirect, plan)
        return BenchTarget(
            file: file, isDirect: isDirect, isTemporary: true, name: "a temporary file",
            state: .ofFile(file, extent: plan.extent, direct: isDirect),
            needsLayout: plan.fileState == .written, notes: notes)
    }

    private static func openTemporary(direct: Bool) throws(IOError) -> IODescriptor {
        let letters = Array("abcdefghijklmnopqrstuvwxyz0123456789")
        // 36^6 names: a second attempt is rare, a sixteenth is somebody's intention.
        for attempt in 1... {
            let name = "ioengine-bench-\(String((0..<6).map { _ in letters.randomElement()! })).tmp"
            // No signal between making and unlinking, which could leave it behind.
            let outcome: Result<IODescriptor, IOError> = Signals.blocked {
                do throws(IOError) {
                    let file = try IODescriptor.open(
                        FilePath(name), .readWrite, options: [.create, .exclusiveCreate],
                        direct: direct, permissions: .ownerReadWrite)
                    unsafe unlink(name)
                    return .success(file)
                } catch {
                    // Where direct IO is refused, the file was made all the same.
                    if error.errno == .invalidArgument { unsafe unlink(name) }
                    return .failure(error)
                }
            }
            if case .failure(let error) = outcome, error.errno == .fileExists, attempt < 16 {
                continue
            }
            return try outcome.get()
        }
        fatalError("unreachable: the loop has no end")
    }

    /// A file at a path where there is none: made, and kept unless something goes wrong.
    private static func create(
        _ path: String, _ plan: BenchPlan
    ) throws(BenchError) -> BenchTarget {
        let isDirect = plan.direct ?? false
        var notes: [String] = []
        // First without direct IO: where that is refused, the file would be made all the same, and
        // nobody could tell whether the path is ours to remove.
        let made = try open(path, .readWrite, [.create, .exclusiveCreate], direct: false)
        do throws(BenchError) {
            let file = isDirect ? try open(path, .readWrite, direct: true) : made
            try allocate(file, plan.size, path, &notes)
            try checkAlignment(file, isDirect, plan)
            return BenchTarget(
                file: file, isDirect: isDirect, isTemporary: false, isMade: true, name: path,
                state: .ofFile(file, extent: plan.extent, direct: isDirect),
                needsLayout: plan.fileState == .written, notes: notes)
        } catch {
            unsafe unlink(path)
            throw error
        }
    }

    static func open(
        _ path: String, _ access: FileDescriptor.AccessMode,
        _ options: FileDescriptor.OpenOptions = [], direct: Bool
    ) throws(BenchError) -> IODescriptor {
        do throws(IOError) {
            return try IODescriptor.open(FilePath(path), access, options: options, direct: direct)
        } catch {
            throw BenchError(error)
        }
    }

    /// Reserves the space of a file of ours, without writing it.
    private static func allocate(
        _ file: IODescriptor, _ size: Int, _ name: String, _ notes: inout [String]
    ) throws(BenchError) {
        while fallocate(file.rawValue, 0, 0, size) != 0 {
            switch errno {
            case EINTR:
                continue
            case EOPNOTSUPP:
                guard ftruncate(file.rawValue, size) == 0 else { fallthrough }
                notes.append("the file system reserves no space; the file is one hole")
                return
            default:
                throw BenchError(
                    "\(ByteCount.text(size)) cannot be reserved for \(name) "
                        + "(\(Errno(rawValue: errno))); free some space or give a smaller --size.")
            }
        }
    }

    /// Direct IO in pieces that the file does not take would fail each time.
    static func checkAlignment(
        _ file: IODescriptor, _ isDirect: Bool, _ plan: BenchPlan
    ) throws(BenchError) {
        let alignment = file.facts.offsetAlignment
        guard isDirect, alignment > 1, plan.blockSize % alignment != 0 else { return }
        throw BenchError(
            "Direct IO on this file goes in multiples of \(alignment) bytes; "
                + "give --bs such a size, or leave --direct out (--no-direct).")
    }
}
