internal import CLinux
internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// The copy while it is made: a file in the destination's directory that has no name, or where the
/// file system wants one, a hidden name. Ends without a trace unless it is published.
struct CopyDestination: ~Copyable {
    let target: DestinationName
    /// Readable and writable for the owner alone until it is complete.
    let file: IODescriptor
    let directory: IODescriptor
    let existing: CopyPlan.Existing
    let interruption: CopyInterruption
    /// Nil while it has no name.
    var entry: TemporaryEntry?
    /// It is others' now, whatever its names.
    var isPublished = false
    /// What could not be kept.
    private(set) var notes: [String] = []

    init(
        _ plan: CopyPlan, _ source: CopySource, _ interruption: CopyInterruption
    ) throws(CopyError) {
        // All that may throw comes first: half of this cannot be destroyed.
        let target = try DestinationName(plan, source)
        let directory = try Self.open(target)
        let (file, entry) = try Self.make(target, directory, plan)
        if let entry { interruption.remember(entry) }
        self.target = target
        self.directory = directory
        self.file = file
        self.entry = entry
        self.interruption = interruption
        existing = plan.existing
    }

    deinit {
        entry?.remove()
        if isPublished { return }
        // io_uring may keep the file for a moment longer than the process lives. Its space is to be
        // free now, for whoever tries again.
        if (try? FileStatus(of: file.rawValue))?.hasName == false { ftruncate(file.rawValue, 0) }
    }

    /// Opens the directory. One that may not be listed is opened all the same; then it cannot be
    /// made durable by itself.
    private static func open(_ target: DestinationName) throws(CopyError) -> IODescriptor {
        do throws(IOError) {
            do throws(IOError) {
                return try IODescriptor.open(target.directory, .readOnly, options: .directory)
            } catch {
                guard error.errno == .permissionDenied else { throw error }
                return try IODescriptor.open(
                    target.directory, .readOnly,
                    options: [.directory, FileDescriptor.OpenOptions(rawValue: CLinux.O_PATH)])
            }
        } catch {
            if error.errno == .noSuchFileOrDirectory {
                throw CopyError("There is no directory \(target.directory); make it first.")
            }
            throw CopyError(target.cannotBeWritten, error.errno)
        }
    }

    /// A file of ours, direct if it is to be.
    private static func make(
        _ target: DestinationName, _ directory: IODescriptor, _ plan: CopyPlan
    ) throws(CopyError) -> (IODescriptor, TemporaryEntry?) {
        // An entry that is let go of takes its name along.
        let (made, entry) = try create(target, directory, nameless: !plan.avoidsNamelessFiles)
        do throws(CopyError) {
            if plan.direct { try makeDirect(made, target) }
            return (
                try CopyError.wrapEngine(target.cannotBeWritten) { () throws(IOError) in
                    try IODescriptor(adopting: made)
                }, entry
            )
        } catch {
            try? made.close()
            throw error
        }
    }

    private static func create(
        _ target: DestinationName, _ directory: IODescriptor, nameless: Bool
    ) throws(CopyError) -> (FileDescriptor, TemporaryEntry?) {
        let place = directory.rawValue
        if nameless {
            let made = unsafe openat(
                place, ".", CLinux.O_TMPFILE | O_RDWR | O_CLOEXEC, permissionsOfOwner)
            // Without /proc it could never get a name.
            if made >= 0, unsafe access(namelessPath(made), F_OK) == 0 {
                return (FileDescriptor(rawValue: made), nil)
            }
            if made >= 0 { close(made) }
        }
        for _ in 0..<TemporaryEntry.attempts {
            let name = TemporaryEntry.newName()
            let made = unsafe openat(
                place, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, permissionsOfOwner)
            if made >= 0 {
                return (FileDescriptor(rawValue: made), TemporaryEntry(name, in: directory))
            }
            if errno != EEXIST { break }
        }
        let reason = Errno(rawValue: errno)
        let mayNot = "you may not make files in \(target.directory)"
        throw CopyError(
            target.cannotBeWritten, reason, advice: reason == .permissionDenied ? mayNot : nil)
    }

    private static var permissionsOfOwner: mode_t { 0o600 }

    /// The way to an open file that has no name.
    static func namelessPath(_ descriptor: Int32) -> String { "/proc/self/fd/\(descriptor)" }

    /// Not when it is opened: a file that is refused then may be left behind.
    private static func makeDirect(
        _ file: FileDescriptor, _ target: DestinationName
    ) throws(CopyError) {
        let flags = fcntl(file.rawValue, F_GETFL)
        if flags < 0 || fcntl(file.rawValue, F_SETFL, flags | CLinux.O_DIRECT) < 0 {
            if errno == EINVAL { throw .noDirectIO(target.path) }
            throw CopyError(target.cannotBeWritten, Errno(rawValue: errno))
        }
    }
}

extension CopyDestination {
    /// Gives the file its size: what is not written is a hole, and what was written beyond, to fill
    /// a block, is gone.
    func resize(to size: Int64) throws(CopyError) {
        while ftruncate(file.rawValue, off_t(size)) != 0 {
            if errno != EINTR {
                throw CopyError(target.cannotBeWritten, Errno(rawValue: errno))
            }
        }
    }

    /// Gives the complete file the source's permissions, and its times if they are wanted.
    mutating func adopt(_ status: FileStatus, timestamps: Bool) throws(CopyError) {
        if fchmod(file.rawValue, status.permissions) != 0 {
            let reason = Errno(rawValue: errno)
            guard [Errno.notPermitted, .notSupported].contains(reason) else {
                throw CopyError(target.cannotBeWritten, reason)
            }
            notes.append("the permissions could not be kept, the file system has none")
        }
        if timestamps {
            let times = [status.accessed, status.modified]
            if unsafe futimens(file.rawValue, times) != 0 {
                throw CopyError(
                    "The timestamps of \(target.path) cannot be set", Errno(rawValue: errno))
            }
        }
    }
}
