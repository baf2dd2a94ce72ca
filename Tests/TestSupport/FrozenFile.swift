internal import Glibc
public import IOEngineCore
internal import Synchronization
internal import SystemPackage

/// A file on a file system of its own that can be frozen: writes to it then wait for the thaw, for
/// ever if need be, while reads and syncs go on. It is thawed at the latest when this ends.
public final class FrozenFile: Sendable {
    public let file: IODescriptor
    public let path: String
    private let root: Int32
    private let isFrozen = Atomic<Bool>(false)

    /// Nil, after printing why, where it cannot be made.
    ///
    /// - Parameter prepare: Called with the file's path when all but the freezing is done.
    public init?(label: String, prepare: (String) throws -> Void = { _ in }) throws {
        guard let fileSystem = TestFileSystem.separate(label: label) else { return nil }
        path = fileSystem.newPath("frozen")
        file = try openNew(path)
        // Its places are on the device, so that a write changes nothing but data.
        _ = try file.fileDescriptor.writeAll([UInt8](repeating: 1, count: 1 << 20))
        fsync(file.rawValue)
        root = unsafe open(fileSystem.path, O_RDONLY | O_CLOEXEC)
        try prepare(path)
        guard root >= 0, Self.ask(root, Self.freeze) else {
            print("skipped: freezing \(fileSystem.path): errno \(errno)")
            return nil
        }
        isFrozen.store(true, ordering: .relaxed)
    }

    deinit {
        thaw()
        if root >= 0 { close(root) }
    }

    /// Lets everything go on. From any thread.
    public func thaw() {
        guard isFrozen.exchange(false, ordering: .relaxed) else { return }
        _ = Self.ask(root, Self.thaw)
    }

    private static func ask(_ descriptor: Int32, _ what: UInt) -> Bool {
        // An argument that nobody reads.
        var nothing: Int32 = 0
        return unsafe ioctl(descriptor, what, &nothing) == 0
    }

    /// FIFREEZE and FITHAW, macros that Swift cannot import.
    private static let freeze: UInt = 0xc004_5877
    private static let thaw: UInt = 0xc004_5878
}
