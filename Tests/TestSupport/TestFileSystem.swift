internal import Glibc
internal import IOEngineCore
internal import Synchronization

/// A file system of its own for the tests, made at first use, unmounted when the process ends.
///
/// ext4 and xfs lie in sparse images behind loop devices, tmpfs in memory.
public final class TestFileSystem: Sendable, CustomStringConvertible {
    /// Where it is mounted.
    public let path: String
    /// ext4, xfs or tmpfs.
    public let name: String
    /// What it can do with `fallocate(2)`.
    public let canZeroRanges: Bool
    /// Whether a direct read may reach past the end of a file that was written buffered. xfs may keep room
    /// there for later writes, in memory only, and answers EIO to a direct read that meets it, one process
    /// alone on the file or not; the kernel's log then tells of a "Direct I/O collision with buffered
    /// writes".
    public var letsDirectReadsPassTheEnd: Bool { name != "xfs" }
    private let counter = Atomic<Int>(0)

    public static let ext4 = TestFileSystem("ext4", megabytes: 256)
    /// xfs wants at least 300 MB.
    public static let xfs = TestFileSystem("xfs", megabytes: 320)
    public static let tmpfs = TestFileSystem("tmpfs", megabytes: 256)

    public static func named(_ name: String) -> TestFileSystem? {
        switch name {
        case "ext4": ext4
        case "xfs": xfs
        default: tmpfs
        }
    }

    /// The names of those that can be made here. What is missing is printed, once.
    public static let available: [String] = {
        guard isRoot else {
            print("skipped: ext4, xfs and tmpfs, because only root may mount them")
            return []
        }
        return ["ext4", "xfs", "tmpfs"].filter { name in
            let isThere = name == "tmpfs" || Command.exists("mkfs." + name)
            if !isThere { print("skipped: \(name), because mkfs.\(name) is missing") }
            return isThere
        }
    }()

    public static var isRoot: Bool { geteuid() == 0 }

    /// Nil, after printing why, when it cannot be made.
    init?(_ name: String, megabytes: Int, label: String? = nil, folder: String? = nil) {
        let folder = folder ?? TemporaryFolder.path
        let label = label ?? name
        path = "\(folder)/\(label)"
        self.name = name
        canZeroRanges = name != "tmpfs"
        unsafe mkdir(path, 0o755)
        let image = path + ".image"
        var steps: [[String]]
        if name == "tmpfs" {
            steps = [["mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", path]]
        } else {
            let quiet = name == "ext4" ? ["-q", "-E", "lazy_itable_init=1"] : ["-q"]
            steps = [
                ["truncate", "-s", "\(megabytes)M", image],
                ["mkfs." + name] + quiet + [image],
                ["mount", "-o", "loop", image, path],
            ]
        }
        // What is mounted last is unmounted first.
        TemporaryFolder.addMount(path)
        for step in steps {
            let end = Command.run(step)
            if end.status != 0 {
                print("skipped: \(name): \(step.joined(separator: " ")): \(end)")
                return nil
            }
        }
    }

    /// A small tmpfs that a test can fill.
    public static func small(megabytes: Int, label: String) -> TestFileSystem? {
        TestFileSystem("tmpfs", megabytes: megabytes, label: label)
    }

    /// An ext4 that no other test uses.
    public static func separate(label: String) -> TestFileSystem? {
        TestFileSystem("ext4", megabytes: 32, label: label)
    }

    /// An ext4 that a test can freeze.
    public static func freezable(label: String) -> TestFileSystem? {
        TestFileSystem("ext4", megabytes: 64, label: label)
    }

    /// An ext4 that believes to be larger than the tmpfs its image lies on, so that writing back fails.
    public static func overcommitted(label: String) -> TestFileSystem? {
        guard let small = small(megabytes: 10, label: label + "-below") else { return nil }
        return TestFileSystem("ext4", megabytes: 96, label: label, folder: small.path)
    }

    /// A path that no other test has.
    public func newPath(_ what: String = "file") -> String {
        "\(path)/\(what)-\(counter.add(1, ordering: .relaxed).newValue)"
    }

    public var description: String { name }
}

/// One folder a process for everything that tests write; removed at exit.
public enum TemporaryFolder {
    private static let mounts = LockedValue<[String]>([])
    private static let counter = Atomic<Int>(0)

    /// On the file system of /tmp.
    public static let path: String = {
        let path = "/tmp/ioengine-tests-\(getpid())"
        unsafe mkdir(path, 0o755)
        atexit { TemporaryFolder.remove() }
        return path
    }()

    /// A path that no other test has.
    public static func newPath(_ what: String = "file") -> String {
        "\(path)/\(what)-\(counter.add(1, ordering: .relaxed).newValue)"
    }

    static func addMount(_ path: String) { mounts.withLock { $0.append(path) } }

    private static func remove() {
        for mount in mounts.withLock({ $0 }).reversed() { Command.run(["umount", "-l", mount]) }
        Command.run(["rm", "-rf", "--one-file-system", path])
    }
}
