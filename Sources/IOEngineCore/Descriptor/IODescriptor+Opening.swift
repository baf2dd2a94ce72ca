internal import CLinux
public import SystemPackage

extension IODescriptor {
    /// Opens a file, with O_CLOEXEC.
    ///
    /// - Parameters:
    ///   - direct: O_DIRECT: past the page cache. Offsets, lengths and addresses must then be aligned,
    ///     see ``IODescriptorFacts/offsetAlignment``. Do not mix with buffered writes of the same file: what
    ///     meets is not defined, and on xfs a direct read past the end of such a file may end with EIO.
    ///   - permissions: For a file that is created; read and write for the owner, read for others.
    public static func open(
        _ path: FilePath, _ mode: FileDescriptor.AccessMode,
        options: FileDescriptor.OpenOptions = [], direct: Bool = false,
        permissions: FilePermissions = [.ownerReadWrite, .groupRead, .otherRead]
    ) throws(IOError) -> IODescriptor {
        var options = options.union(.closeOnExec)
        if direct { options.insert(FileDescriptor.OpenOptions(rawValue: CLinux.O_DIRECT)) }
        let descriptor: FileDescriptor
        do {
            descriptor = try FileDescriptor.open(
                path, mode, options: options,
                permissions: options.contains(.create) ? permissions : nil, retryOnInterrupt: true)
        } catch let errno as Errno {
            throw IOError(operation: .open, errno: errno, advice: advice(for: errno, path, direct))
        } catch {
            throw IOError(operation: .open, errno: .invalidArgument)
        }
        do {
            return try IODescriptor(adopting: descriptor)
        } catch {
            try? descriptor.close()
            throw error
        }
    }

    private static func advice(for errno: Errno, _ path: FilePath, _ direct: Bool) -> String {
        if let refused = SystemCall.advice(among: [.openat], errno.rawValue) { return refused }
        return switch errno {
        case .noSuchFileOrDirectory: "there is no \(path); check the path"
        case .permissionDenied, .notPermitted: "you may not open \(path); check its permissions"
        case .isDirectory: "\(path) is a directory; give a file inside it"
        case .fileExists: "\(path) exists already; choose another name"
        case .invalidArgument where direct:
            "the file system of \(path) has no direct IO; open it without"
        default: "\(path): \(errno)"
        }
    }
}
