internal import CLinux
internal import Glibc
public import IOEngineCore
internal import SystemPackage

/// What the engine finds at a path: a file, a block device, or a directory, which stands for the files in it.
public struct PathReport: Sendable {
    public internal(set) var path: String
    /// Regular file, block device or directory.
    public internal(set) var kind: IODescriptorFacts.Kind
    /// Bytes; 0 for a directory.
    public internal(set) var size: Int64
    /// Nil for a block device, and where it cannot be learnt.
    public internal(set) var fileSystem: FileSystemReport?
    /// The device itself, or the one below the file system; nil: there is none, or it cannot be learnt.
    public internal(set) var device: BlockDeviceReport?
    public internal(set) var direct: DirectIOReport
    /// Nil: the kernel does not tell.
    public internal(set) var atomicWrites: AtomicWriteUnits?

    /// What the engine would know of such a file, open for direct IO where there is some.
    public var facts: IODescriptorFacts {
        IODescriptorFacts(
            kind: kind == .directory ? .regular : kind, isDirect: direct.isSupported ?? false,
            size: size, offsetAlignment: direct.offsetAlignment ?? 0,
            memoryAlignment: direct.memoryAlignment ?? 0,
            isInMemory: fileSystem?.isInMemory ?? false)
    }

    /// What to know about files here with a driver: a sentence, or nil.
    public func advice(for driver: DriverKind) -> String? { driver.advice(for: facts) }

    /// Looks. Changes nothing: a file is at most read, and of a directory a file without a name is made in
    /// it, if that is allowed, which is gone at once.
    ///
    /// Throws ENOENT and the like where the path leads nowhere, ESPIPE for what has no offsets: pipes,
    /// sockets, terminals.
    public init(_ path: String) throws(IOError) {
        let status: FileStatus
        do throws(Errno) {
            // The kernel would take it for the current directory.
            if path.isEmpty { throw Errno.noSuchFileOrDirectory }
            status = try FileStatus(path: path)
        } catch {
            throw IOError(operation: .open, errno: error, advice: Self.advice(error, path))
        }
        let kind = status.kind
        guard [.regular, .blockDevice, .directory].contains(kind) else {
            throw IOError(
                operation: .open, errno: .illegalSeek,
                advice: "\(path) is a \(Self.word(kind)), which the engine does not serve; give a "
                    + "file, a directory or a block device")
        }
        self.path = path
        self.kind = kind
        let isDevice = kind == .blockDevice
        fileSystem = isDevice ? nil : FileSystemReport(status)
        device = BlockDeviceReport(isDevice ? status.ownDevice : status.device)
        let sample = FileSample(path, kind)
        size =
            switch kind {
            case .directory: 0
            case .blockDevice: sample?.size ?? device?.sizeBytes ?? 0
            default: status.size
            }
        direct = sample.map(\.direct) ?? DirectIOReport(told: status) ?? .unknown
        atomicWrites = sample?.status.atomicWrites ?? status.atomicWrites
        if direct.source == .none, direct.isSupported != false, let device {
            direct.offsetAlignment = device.logicalSectorBytes
            direct.readOffsetAlignment = device.logicalSectorBytes
            direct.memoryAlignment = device.logicalSectorBytes
            direct.source = .device
        }
    }

    private static func advice(_ errno: Errno, _ path: String) -> String {
        switch errno {
        case .noSuchFileOrDirectory:
            "there is nothing at \(path.isEmpty ? "''" : path); give a file, a "
                + "directory or a block device that exists"
        case .notDirectory: "a part of \(path) is no directory; give a path that exists"
        case .permissionDenied: "a directory on the way to \(path) may not be searched by this user"
        case .tooManySymbolicLinkLevels: "\(path) is a symbolic link that leads to itself"
        default: "\(path) cannot be looked at"
        }
    }

    private static func word(_ kind: IODescriptorFacts.Kind) -> String {
        switch kind {
        case .regular: "file"
        case .blockDevice: "block device"
        case .characterDevice: "character device"
        case .directory: "directory"
        case .pipe: "pipe"
        case .socket: "socket"
        case .other: "thing of another kind"
        }
    }
}

/// An open file that shows what files at a path are like: the file itself, or in a directory one without
/// a name.
private struct FileSample {
    let status: FileStatus
    let size: Int64
    let direct: DirectIOReport

    /// Nil: it cannot be opened or made.
    init?(_ path: String, _ kind: IODescriptorFacts.Kind) {
        let descriptor = Self.open(path, kind)
        guard descriptor >= 0 else { return nil }
        defer { Glibc.close(descriptor) }
        guard let own = try? FileStatus(descriptor, path: ""),
            let facts = try? IODescriptorFacts(of: descriptor)
        else { return nil }
        self.status = own
        if let told = DirectIOReport(told: own) {
            size = facts.size
            direct = told
            return
        }
        var size = facts.size
        if kind == .directory { size = Self.fill(descriptor) }
        self.size = size
        // Refused: there is no direct IO on this file system.
        let flags = fcntl(descriptor, F_GETFL)
        guard fcntl(descriptor, F_SETFL, flags | CLinux.O_DIRECT) == 0 else {
            direct = errno == EINVAL ? .unsupported(.trial) : .unknown
            return
        }
        direct =
            DirectTrial(descriptor: descriptor, size: size).run()
            ?? DirectIOReport(
                isSupported: true, offsetAlignment: nil, readOffsetAlignment: nil,
                memoryAlignment: nil, source: .none)
    }

    private static func open(_ path: String, _ kind: IODescriptorFacts.Kind) -> Int32 {
        // O_TMPFILE, a macro that Swift cannot import: the kernel's own bit, and O_DIRECTORY.
        let withoutName = 0o20_000_000 | CLinux.O_DIRECTORY
        let access = kind == .directory ? O_RDWR | withoutName : O_RDONLY
        return unsafe Glibc.open(path, access | O_CLOEXEC | O_NONBLOCK, 0o600)
    }

    /// Bytes to be read back in a trial: twice its largest step. How many there are now.
    private static func fill(_ descriptor: Int32) -> Int64 {
        let bytes = [UInt8](repeating: 0x5a, count: 128 << 10)
        return unsafe Int64(max(0, pwrite(descriptor, bytes, bytes.count, 0)))
    }
}
