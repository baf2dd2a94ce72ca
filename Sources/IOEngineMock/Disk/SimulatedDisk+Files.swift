internal import Glibc
public import IOEngineCore
internal import Synchronization
public import SystemPackage

extension SimulatedDisk {
    /// Opens a file, as `IODescriptor.open` opens a real one.
    ///
    /// The path is a name and nothing more: there are no directories, and names that differ are
    /// different files. A file that is created, or truncated, is so at once and for good.
    ///
    /// - Parameters:
    ///   - options: `create`, `exclusiveCreate`, `truncate` and `append` count.
    ///   - direct: Demand the alignment of direct IO.
    ///
    /// Throws ENOENT, EEXIST, EISDIR, or ENOTRECOVERABLE after a crash.
    public func open(
        _ path: FilePath, _ mode: FileDescriptor.AccessMode = .readWrite,
        options: FileDescriptor.OpenOptions = [], direct: Bool = false
    ) throws(IOError) -> IODescriptor {
        let answer = state.withLock { state in
            state.open(path.string, mode, options, direct: direct)
        }
        switch answer {
        case .success(let opened):
            return IODescriptor(simulated: opened.number, facts: opened.facts)
        case .failure(let errno):
            throw IOError(
                operation: .open, errno: errno, advice: Self.advice(errno, path))
        }
    }

    private static func advice(_ errno: Errno, _ path: FilePath) -> String {
        switch errno {
        case .noSuchFileOrDirectory: "there is no \(path) on this disk; check the name"
        case .fileExists: "\(path) exists already; choose another name"
        case .isDirectory: "\(path) is a directory; give a file inside it"
        default: "the disk has crashed; open the file on the disk that its restart made"
        }
    }

    /// Makes a file with these bytes, all of them safe, or gives one that is there these bytes.
    public func setContents(of name: String, to bytes: [UInt8]) {
        state.withLock { $0.medium.setContents(of: name, to: bytes) }
    }

    /// What reads see of a file; nil if there is none. For files that fit into memory.
    public func contents(of name: String) -> [UInt8]? {
        state.withLock { state in
            state.medium.file(named: name).map { state.medium.contents(of: $0) }
        }
    }

    /// What every crash would leave of a file as it is now: its safe bytes.
    public func safeContents(of name: String) -> [UInt8]? {
        state.withLock { state in
            state.medium.file(named: name).map { state.medium.safeContents(of: $0) }
        }
    }

    /// The files' names, sorted.
    public var names: [String] { state.withLock { $0.medium.names } }

    /// Removes a file, at once and for good. False: there is none of that name. Descriptors of it see
    /// an empty file.
    @discardableResult
    public func remove(_ name: String) -> Bool {
        state.withLock { state in
            guard let file = state.medium.file(named: name) else { return false }
            state.medium.remove(file)
            return true
        }
    }

    /// The name of the file that a descriptor of this disk is open on.
    public func name(of descriptor: IODescriptor) -> String? {
        state.withLock { $0.medium.openFile(descriptor.rawValue)?.file.name }
    }

    /// Bytes taken by all files, in whole sectors.
    public var usedSpace: Int64 {
        state.withLock { $0.medium.usedSectors } * Int64(configuration.sectorSize)
    }

    // MARK: Things that are no files

    /// A descriptor of a directory, on which transfers are refused.
    public func openDirectory() -> IODescriptor { openOther(.directory, "directory") }

    /// A descriptor of something without offsets.
    public func openPipe() -> IODescriptor { openOther(.pipe, "pipe") }

    private func openOther(_ kind: IODescriptorFacts.Kind, _ name: String) -> IODescriptor {
        let opened = state.withLock { state in
            let file = state.medium.makeNamelessFile(kind: kind, name)
            return state.open(file, isReadable: true, isWritable: true)
        }
        return IODescriptor(simulated: opened.number, facts: opened.facts)
    }

    // MARK: Damage

    /// Makes sectors bad: what touches them answers EIO.
    ///
    /// - Parameters:
    ///   - range: Bytes; counts in whole sectors.
    ///   - untilRewritten: They are good again when a write covers them whole.
    public func damage(_ name: String, _ range: Range<Int64>, untilRewritten: Bool) {
        state.withLock { state in
            guard let file = state.medium.file(named: name) else { return }
            let sectors = state.medium.sectors(range)
            if untilRewritten {
                file.badUntilRewritten.insert(sectors)
            } else {
                file.badForEver.insert(sectors)
            }
        }
    }

    /// Flips bits in place, drawn from the seed, in what reads see and what is safe.
    public func rot(_ name: String, _ range: Range<Int64>, bits: Int = 1) {
        state.withLock { state in
            guard let file = state.medium.file(named: name) else { return }
            let range = range.clamped(to: 0..<file.size)
            guard !range.isEmpty else { return }
            for _ in 0..<bits {
                let place = Int(range.lowerBound) + state.random.below(range.count)
                let mask = UInt8(1) << UInt8(state.random.below(8))
                file.makeChunk(place / DiskChunk.size).flip(place % DiskChunk.size, mask)
            }
        }
    }
}

/// A descriptor's number and what is known of its file.
struct Opened: Sendable {
    var number: Int32
    var facts: IODescriptorFacts
}

extension DiskState {
    func open(
        _ name: String, _ mode: FileDescriptor.AccessMode, _ options: FileDescriptor.OpenOptions,
        direct: Bool
    ) -> Result<Opened, Errno> {
        if crash != nil { return .failure(.notRecoverable) }
        let file: DiskFile
        if let known = medium.file(named: name) {
            if options.isSuperset(of: [.create, .exclusiveCreate]) { return .failure(.fileExists) }
            file = known
        } else {
            guard options.contains(.create) else { return .failure(.noSuchFileOrDirectory) }
            file = medium.makeFile(name)
        }
        let isWritable = mode != .readOnly
        if options.contains(.truncate), isWritable { medium.truncate(file) }
        return .success(
            open(
                file, isReadable: mode != .writeOnly, isWritable: isWritable, isDirect: direct,
                isAppending: options.contains(.append)))
    }

    func open(
        _ file: DiskFile, isReadable: Bool, isWritable: Bool, isDirect: Bool = false,
        isAppending: Bool = false
    ) -> Opened {
        let open = OpenFile(
            file: file, isDirect: isDirect, isAppending: isAppending, isReadable: isReadable,
            isWritable: isWritable)
        return Opened(number: medium.open(open), facts: medium.facts(open))
    }
}

extension DiskMedium {
    func setContents(of name: String, to bytes: [UInt8]) {
        let file = file(named: name) ?? makeFile(name)
        truncate(file)
        guard !bytes.isEmpty else { return }
        var done = 0
        change(file, 0, bytes.count, kind: .write, .all) { chunk, within, count in
            chunk.put(bytes, from: done, within, count)
            done += count
        }
    }

    func contents(of file: DiskFile) -> [UInt8] {
        contents(of: file, size: file.size, onlySafe: false)
    }

    /// A part of it, as far as the file has it.
    func contents(of file: DiskFile, _ range: Range<Int>) -> [UInt8] {
        let range = range.clamped(to: 0..<Int(file.size))
        var bytes = [UInt8](repeating: 0, count: range.count)
        unsafe bytes.withUnsafeMutableBytes { target in
            guard let start = target.baseAddress else { return }
            var done = 0
            forEachPart(Int64(range.lowerBound), range.count) { index, within, count in
                if let chunk = file.chunk(index) {
                    unsafe (start + done).copyMemory(from: chunk.bytes + within, byteCount: count)
                }
                done += count
            }
        }
        return bytes
    }

    func safeContents(of file: DiskFile) -> [UInt8] {
        contents(of: file, size: file.safeSize, onlySafe: true)
    }

    private func contents(of file: DiskFile, size: Int64, onlySafe: Bool) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Int(size))
        for index in file.chunkIndices(in: 0..<size) {
            file.chunk(index)?.copy(
                to: &bytes, from: index * DiskChunk.size, onlySafe: onlySafe, sectorSize: sectorSize
            )
        }
        return bytes
    }

    /// Something with a descriptor and without a name.
    func makeNamelessFile(kind: IODescriptorFacts.Kind, _ name: String) -> DiskFile {
        let file = DiskFile(number: files.count, name: name, kind: kind)
        file.isRemoved = true
        files.append(file)
        return file
    }
}
