internal import Glibc
public import IOEngineCore
public import IOEngineMock
internal import Synchronization
public import SystemPackage

/// How a check gets at files that the driver under test can work on.
public struct ContractFiles: Sendable {
    public enum Use: Sendable {
        case readWrite
        case readOnly
        case writeOnly
        case appending
        /// For direct IO.
        case direct
    }

    /// Opens a new file with these bytes.
    public var open: @Sendable (_ contents: [UInt8], _ use: Use) throws -> IODescriptor
    /// What is in a file, seen past the driver.
    public var contents: @Sendable (IODescriptor) throws -> [UInt8]
    /// What would be left of a file if everything crashed now; nil: nobody can tell, and the durable
    /// half of the rule on syncs is not checked.
    public var safeContents: (@Sendable (IODescriptor) throws -> [UInt8])?
    /// Opens a directory; nil: there are none.
    public var openDirectory: (@Sendable () throws -> IODescriptor)?
    /// Opens something without offsets; nil: there is none.
    public var openPipe: (@Sendable () throws -> IODescriptor)?

    public init(
        open: @escaping @Sendable ([UInt8], Use) throws -> IODescriptor,
        contents: @escaping @Sendable (IODescriptor) throws -> [UInt8],
        safeContents: (@Sendable (IODescriptor) throws -> [UInt8])? = nil,
        openDirectory: (@Sendable () throws -> IODescriptor)? = nil,
        openPipe: (@Sendable () throws -> IODescriptor)? = nil
    ) {
        self.open = open
        self.contents = contents
        self.safeContents = safeContents
        self.openDirectory = openDirectory
        self.openPipe = openPipe
    }

    /// Files of the kernel's, for drivers that pass descriptors to it. They have no name once they are
    /// open, so nothing is left behind.
    public static func temporary(in folder: FilePath = "/tmp") -> ContractFiles {
        let names = TemporaryNames(folder)
        return ContractFiles(
            open: { contents, use in try names.open(contents, use) },
            contents: { file in try TemporaryNames.contents(of: file) },
            openDirectory: { try IODescriptor.open(folder, .readOnly) },
            openPipe: { try TemporaryNames.openPipe() })
    }

    /// Files of a simulated disk, which can also tell what is safe.
    public static func simulated(_ disk: SimulatedDisk) -> ContractFiles {
        let number = Counter()
        return ContractFiles(
            open: { contents, use in
                let name = "contract-\(number.next())"
                disk.setContents(of: name, to: contents)
                return try disk.open(
                    FilePath(name), use.mode, options: use == .appending ? .append : [],
                    direct: use == .direct)
            },
            contents: { file in disk.name(of: file).flatMap { disk.contents(of: $0) } ?? [] },
            safeContents: { file in
                disk.name(of: file).flatMap { disk.safeContents(of: $0) } ?? []
            },
            openDirectory: { disk.openDirectory() }, openPipe: { disk.openPipe() })
    }

    /// Files of a mock.
    public static func mock(_ device: MockDevice) -> ContractFiles {
        ContractFiles(
            open: { contents, use in
                device.makeFile(
                    contents, use.mode, direct: use == .direct, appending: use == .appending)
            },
            contents: { file in device.contents(of: file) },
            openDirectory: { device.makeDescriptor(.directory) },
            openPipe: { device.makeDescriptor(.pipe) })
    }
}

extension ContractFiles.Use {
    var mode: FileDescriptor.AccessMode {
        switch self {
        case .readWrite, .direct: .readWrite
        case .readOnly: .readOnly
        case .writeOnly, .appending: .writeOnly
        }
    }
}

/// Counts, from any thread.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    func next() -> Int { count.add(1, ordering: .relaxed).newValue }
    var value: Int { count.load(ordering: .relaxed) }
}

/// Files that have a name for as long as it takes to open them.
private final class TemporaryNames: Sendable {
    private let folder: FilePath
    /// One for all sets of files, so that no two give the same name.
    private static let counter = Counter()

    init(_ folder: FilePath) { self.folder = folder }

    func open(_ contents: [UInt8], _ use: ContractFiles.Use) throws -> IODescriptor {
        let path = folder.appending("ioengine-contract-\(getpid())-\(Self.counter.next())")
        let made = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: .ownerReadWrite)
        defer { unsafe _ = path.withPlatformString { unsafe unlink($0) } }
        try made.closeAfter { _ = try made.writeAll(contents) }
        return try IODescriptor.open(
            path, use.mode, options: use == .appending ? .append : [], direct: use == .direct)
    }

    static func contents(of file: IODescriptor) throws -> [UInt8] {
        // Opened anew through its number: the descriptor itself may be for writing only.
        let own = try FileDescriptor.open(
            FilePath("/proc/self/fd/\(file.rawValue)"), .readOnly, options: .closeOnExec)
        return try own.closeAfter {
            var all: [UInt8] = []
            var part = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = try unsafe part.withUnsafeMutableBytes { try unsafe own.read(into: $0) }
                if count == 0 { return all }
                all += part[..<count]
            }
        }
    }

    static func openPipe() throws -> IODescriptor {
        let (readEnd, writeEnd) = try FileDescriptor.pipe()
        try writeEnd.close()
        return try IODescriptor(adopting: readEnd)
    }
}
