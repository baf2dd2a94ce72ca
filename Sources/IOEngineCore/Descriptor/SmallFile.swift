internal import SystemPackage

/// Files of /proc and /sys: made when they are read, without a size.
package enum SmallFile {
    /// More than this is nothing that is looked at here.
    private static let most = 4 << 20

    /// What is in it, without the last line's end. Nil: it cannot be read.
    package static func text(_ path: String) -> String? {
        guard
            let file = try? FileDescriptor.open(
                FilePath(path), .readOnly, options: .closeOnExec)
        else { return nil }
        defer { try? file.close() }
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16_384)
        while all.count < most {
            guard
                let count = try? unsafe part.withUnsafeMutableBytes({
                    unsafe try file.read(into: $0)
                })
            else { return nil }
            if count == 0 { break }
            all += part[..<count]
        }
        while all.last == UInt8(ascii: "\n") { all.removeLast() }
        return String(decoding: all, as: UTF8.self)
    }

    /// The text of a line "name: text" without the blanks around it. Nil: there is none.
    package static func field(_ name: String, of path: String) -> String? {
        text(path)?.split(separator: "\n").first { $0.hasPrefix(name + ":") }
            .map { String($0.dropFirst(name.count + 1).drop { $0 == "\t" || $0 == " " }) }
    }

    package static func number(_ path: String) -> Int? { text(path).flatMap { Int($0) } }
}
