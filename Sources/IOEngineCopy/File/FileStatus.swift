internal import Glibc
internal import SystemPackage

/// What `stat(2)` says.
struct FileStatus: Equatable {
    private let answer: stat

    /// Follows symbolic links unless told not to.
    init(of path: String, followsLinks: Bool = true) throws(Errno) {
        var answer = stat()
        let code = unsafe followsLinks ? stat(path, &answer) : lstat(path, &answer)
        guard code == 0 else { throw Errno(rawValue: errno) }
        self.answer = answer
    }

    init(of descriptor: Int32) throws(Errno) {
        var answer = stat()
        guard unsafe fstat(descriptor, &answer) == 0 else { throw Errno(rawValue: errno) }
        self.answer = answer
    }

    var kind: mode_t { answer.st_mode & S_IFMT }
    var isRegular: Bool { kind == S_IFREG }
    var isDirectory: Bool { kind == S_IFDIR }
    var hasName: Bool { answer.st_nlink > 0 }

    /// What owner, group and others may do; not the bits that lend the owner's identity.
    var permissions: mode_t { answer.st_mode & 0o777 }
    var size: Int64 { Int64(answer.st_size) }
    var accessed: timespec { answer.st_atim }
    var modified: timespec { answer.st_mtim }

    func isSameFile(as other: FileStatus) -> Bool {
        answer.st_dev == other.answer.st_dev && answer.st_ino == other.answer.st_ino
    }

    /// Whether size and time of modification are the same.
    static func == (a: Self, b: Self) -> Bool {
        a.size == b.size && a.modified.tv_sec == b.modified.tv_sec
            && a.modified.tv_nsec == b.modified.tv_nsec
    }
}
