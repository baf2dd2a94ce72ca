internal import CLinux
internal import Glibc
internal import IOEngineCore
internal import SystemPackage

extension CopyDestination {
    /// Gives the file its name, in one step, and makes that durable.
    ///
    /// The file itself must be durable before: else a crash could leave the name without the bytes.
    mutating func publish() throws(CopyError) {
        if target.existing == nil, existing != .replacedByForce {
            try publishAsNew()
        } else {
            try publishInPlace()
        }
        isPublished = true
        // Some file systems make names durable without being asked, and refuse to be; a directory
        // that may not be read cannot be asked.
        if fsync(directory.rawValue) != 0, errno != EINVAL, errno != EBADF {
            throw CopyError(
                "\(target.path) is complete, but its directory cannot be made durable",
                Errno(rawValue: errno))
        }
    }

    /// Where nothing had the name: and if something has it by now, that stays.
    private mutating func publishAsNew() throws(CopyError) {
        guard let entry else {
            if linkNameless(as: target.name) { return }
            throw notNew(errno)
        }
        let place = directory.rawValue
        if unsafe renameat2(place, entry.name, place, target.name, UInt32(RENAME_NOREPLACE)) == 0 {
            entry.forget()
            return
        }
        // Not every file system can rename without replacing. A second name never replaces.
        guard errno == EINVAL || errno == ENOSYS else { throw notNew(errno) }
        if unsafe linkat(place, entry.name, place, target.name, 0) == 0 { return entry.remove() }
        guard errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS else { throw notNew(errno) }
        // Nor second names: then a look has to do.
        if unsafe faccessat(place, target.name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 {
            throw notNew(EEXIST)
        }
        try publishInPlace()
    }

    private func notNew(_ number: Int32) -> CopyError {
        guard number == EEXIST else {
            return CopyError(target.cannotBeWritten, Errno(rawValue: number))
        }
        return CopyError(
            "\(target.path) was made by somebody else meanwhile, and is left alone; "
                + "copy again if it may be replaced.")
    }

    /// Takes the place of whatever has the name.
    private mutating func publishInPlace() throws(CopyError) {
        let entry = try named()
        let place = directory.rawValue
        guard unsafe renameat(place, entry.name, place, target.name) == 0 else {
            let reason = Errno(rawValue: errno)
            entry.remove()
            throw CopyError("\(target.path) cannot be replaced", reason)
        }
        entry.forget()
    }

    /// A file without a name gets a hidden one: only names can replace names.
    private mutating func named() throws(CopyError) -> TemporaryEntry {
        if let entry { return entry }
        for _ in 0..<TemporaryEntry.attempts {
            let name = TemporaryEntry.newName()
            if linkNameless(as: name) {
                let entry = TemporaryEntry(name, in: directory)
                interruption.remember(entry)
                self.entry = entry
                return entry
            }
            if errno != EEXIST { break }
        }
        throw CopyError(target.cannotBeWritten, Errno(rawValue: errno))
    }

    /// False: `errno` says why.
    private func linkNameless(as name: String) -> Bool {
        unsafe linkat(
            AT_FDCWD, Self.namelessPath(file.rawValue), directory.rawValue, name,
            AT_SYMLINK_FOLLOW) == 0
    }
}
