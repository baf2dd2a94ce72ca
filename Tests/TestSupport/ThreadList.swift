internal import Glibc
internal import IOEngineCore

/// The threads of this process, as the kernel lists them.
public enum ThreadList {
    public struct Entry: Sendable, Hashable {
        public let number: Int32
        public let name: String

        /// A field of `/proc/self/task/N/status`, without the blanks around it.
        public func status(_ field: String) -> String? {
            contents("status")?.split(separator: "\n")
                .first { $0.hasPrefix(field + ":") }
                .map { String($0.dropFirst(field.count + 1).drop { $0 == "\t" || $0 == " " }) }
        }

        /// Nanoseconds on a processor; `/proc/self/task/N/schedstat`.
        public var processorNanoseconds: Int64? {
            contents("schedstat")?.split(separator: " ").first.flatMap { Int64($0) }
        }

        private func contents(_ file: String) -> String? {
            SmallFile.text("/proc/self/task/\(number)/\(file)")
        }
    }

    public static var all: [Entry] {
        guard let folder = unsafe opendir("/proc/self/task") else { return [] }
        defer { unsafe closedir(folder) }
        var entries: [Entry] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { start in
                unsafe String(cString: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self))
            }
            guard let number = Int32(name),
                let label = SmallFile.text("/proc/self/task/\(number)/comm")
            else { continue }
            entries.append(Entry(number: number, name: label))
        }
        return entries
    }

    public static func named(_ name: String) -> [Entry] { all.filter { $0.name == name } }

}
