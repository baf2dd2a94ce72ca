internal import Glibc
internal import SystemPackage

/// Where a copy goes: a name in a directory, and what has that name now.
struct DestinationName {
    /// As people know it.
    let path: String
    /// The same without symbolic links at its end.
    let directory: FilePath
    let name: String
    /// Nil: nothing has the name.
    let existing: FileStatus?

    /// Finds out what the destination means, and refuses what must not be replaced. Changes nothing.
    init(_ plan: CopyPlan, _ source: CopySource) throws(CopyError) {
        var path = plan.destination
        var found = try Self.status(of: path)
        if let directory = found, directory.isDirectory {
            guard let name = FilePath(source.path).lastComponent?.string else {
                throw CopyError("\(path) is a directory; give the name of a file in it.")
            }
            path = FilePath(path).appending(name).string
            found = try Self.status(of: path)
        } else if path.hasSuffix("/") {
            throw CopyError(
                "There is no directory \(path); make it first, or leave the slash at the end out.")
        }
        self.path = path
        existing = found
        if let found { try Self.check(found, path, plan, source) }
        let resolved = FilePath(found == nil ? path : try Self.resolve(path))
        guard let name = resolved.lastComponent?.string else {
            throw CopyError("\(path) is no name for a file; give one.")
        }
        self.name = name
        let parent = resolved.removingLastComponent()
        directory = parent.isEmpty ? "." : parent
    }

    /// The beginning of many a sentence.
    var cannotBeWritten: String { "\(path) cannot be written" }

    /// Nil: nothing has the name.
    private static func status(of path: String) throws(CopyError) -> FileStatus? {
        do throws(Errno) {
            return try FileStatus(of: path)
        } catch .noSuchFileOrDirectory {
            guard (try? FileStatus(of: path, followsLinks: false)) == nil else {
                throw CopyError(
                    "\(path) is a symbolic link to nowhere; remove it, or give another name.")
            }
            return nil
        } catch {
            throw CopyError("\(path) cannot be written", error)
        }
    }

    private static func check(
        _ found: FileStatus, _ path: String, _ plan: CopyPlan, _ source: CopySource
    ) throws(CopyError) {
        if found.isSameFile(as: source.status) {
            throw CopyError(
                "\(source.path) and \(path) are the same file; there is nothing to copy.")
        }
        if found.isDirectory {
            throw CopyError(
                "\(path) is a directory, which a file cannot replace; give another name.")
        }
        guard found.isRegular else {
            throw CopyError(
                "\(path) is no file, and only files are replaced; give another name.")
        }
        switch plan.existing {
        case .kept:
            throw CopyError("\(path) exists; leave --no-clobber out if it may be replaced.")
        case .replaced where isWriteProtected(path):
            throw CopyError(
                "\(path) exists and is write-protected; give --force if it may be replaced.")
        case .replaced, .replacedByForce:
            break
        }
    }

    /// By its permissions; what else is in the way, force does not help against.
    private static func isWriteProtected(_ path: String) -> Bool {
        unsafe faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0 && errno == EACCES
    }

    /// A link stays a link: the file that it leads to is the one that is replaced.
    private static func resolve(_ path: String) throws(CopyError) -> String {
        guard let resolved = unsafe realpath(path, nil) else {
            throw CopyError("\(path) cannot be written", Errno(rawValue: errno))
        }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }
}
