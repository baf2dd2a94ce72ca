internal import Glibc
internal import IOEngineCore

/// What this process has.
public struct Possessions: Sendable {
    public var descriptors: Int
    public var threads: Int
    /// Rings of Linux AIO.
    public var contexts: Int
    /// Pages that are in memory.
    public var residentPages: Int

    public static var now: Possessions {
        Possessions(
            descriptors: entries("/proc/self/fd"), threads: entries("/proc/self/task"),
            contexts: rings, residentPages: residentPages)
    }

    /// What is left over, in words. Threads and contexts end by themselves, a little later.
    public static func left(since before: Possessions, _ settled: Possessions?) -> [String] {
        let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
        var now = self.now
        while now.threads > before.threads || now.contexts > 0,
            IOInstant.monotonic() < deadline
        {
            sched_yield()
            now = self.now
        }
        var left: [String] = []
        if now.threads > before.threads { left.append("\(now.threads) threads are left") }
        if now.contexts > 0 { left.append("\(now.contexts) contexts are left") }
        if now.descriptors > before.descriptors {
            left.append("\(now.descriptors) descriptors, not \(before.descriptors), are open")
        }
        // What a quarter of the run did not need, all of it must not need either.
        if let settled, now.residentPages > settled.residentPages + (32 << 20) / Int(getpagesize())
        {
            left.append(
                "memory grew from \(settled.residentPages) to \(now.residentPages) pages")
        }
        return left
    }

    private static func entries(_ folder: String) -> Int {
        guard let stream = unsafe opendir(folder) else { return -1 }
        defer { unsafe closedir(stream) }
        var count = 0
        while let entry = unsafe readdir(stream) {
            if unsafe entry.pointee.d_name.0 != UInt8(ascii: ".") { count += 1 }
        }
        return count
    }

    private static var residentPages: Int {
        let words = SmallFile.text("/proc/self/statm")?.split(separator: " ") ?? []
        return words.count > 1 ? Int(words[1]) ?? 0 : 0
    }

    private static var rings: Int {
        SmallFile.text("/proc/self/maps")?.split(separator: "\n")
            .count { $0.contains("/[aio]") } ?? -1
    }
}
