/// The file system that a path lies on.
public struct FileSystemReport: Hashable, Sendable {
    /// As in `/proc/self/mountinfo`: ext4, xfs, tmpfs.
    public internal(set) var name: String
    /// Where it is mounted, and what is mounted there: mostly a device.
    public internal(set) var mountPoint: String
    public internal(set) var source: String
    public internal(set) var isReadOnly: Bool

    /// Whether files lie in memory, where nothing waits for a device.
    public var isInMemory: Bool { Self.inMemory.contains(name) }

    private static let inMemory: Set = ["tmpfs", "ramfs", "hugetlbfs", "devtmpfs"]

    /// Looks a mount up; nil: it is not there.
    init?(_ status: FileStatus) {
        guard let text = SmallFile.text("/proc/self/mountinfo") else { return nil }
        // What is mounted last hides what was there before.
        let found = text.split(separator: "\n").reversed().lazy.compactMap {
            Self(line: $0, mountID: status.mountID, device: status.device)
        }
        guard let first = found.first else { return nil }
        self = first
    }

    /// A line: id, parent, device, root, mount point, options, optional fields, "-", name, source, options.
    init?(line: Substring, mountID: UInt64?, device: DeviceNumber) {
        let words = line.split(separator: " ")
        guard words.count >= 10, let dash = words[6...].firstIndex(of: "-"),
            dash + 2 < words.count
        else { return nil }
        if let mountID {
            guard UInt64(words[0]) == mountID else { return nil }
        } else {
            guard words[2] == device.description else { return nil }
        }
        name = String(words[dash + 1])
        mountPoint = Self.unescaped(words[4])
        source = Self.unescaped(words[dash + 2])
        isReadOnly = words[5].split(separator: ",").contains("ro")
    }

    /// Blanks and the like are written as a backslash and three octal digits.
    static func unescaped(_ word: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = word.utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(Substring(digits)), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
