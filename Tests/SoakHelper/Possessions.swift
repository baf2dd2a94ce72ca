import Glibc
import IOEngineCore

/// What a process has.
struct Possessions {
    var descriptors: Int
    var threads: Int
    /// Rings of Linux AIO.
    var contexts: Int
    /// Bytes that are in memory.
    var resident: Int

    static var now: Possessions {
        Possessions(
            descriptors: entries("/proc/self/fd"), threads: entries("/proc/self/task"),
            contexts: rings, resident: residentPages * Int(getpagesize()))
    }

    /// What is left over, in words. Threads and contexts end by themselves, a little later.
    static func left(since before: Possessions, _ settled: Possessions?) -> [String] {
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
        if let settled, now.resident > settled.resident + 32 << 20 {
            left.append("memory grew from \(settled.resident) to \(now.resident) bytes")
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
        guard let stream = unsafe fopen("/proc/self/statm", "r") else { return 0 }
        defer { unsafe fclose(stream) }
        var line = [CChar](repeating: 0, count: 128)
        guard unsafe fgets(&line, 128, stream) != nil else { return 0 }
        let text = String(
            decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let words = text.split(separator: " ")
        return words.count > 1 ? Int(words[1]) ?? 0 : 0
    }

    private static var rings: Int {
        guard let stream = unsafe fopen("/proc/self/maps", "r") else { return -1 }
        defer { unsafe fclose(stream) }
        var count = 0
        var line = [CChar](repeating: 0, count: 512)
        while unsafe fgets(&line, 512, stream) != nil {
            if unsafe strstr(line, "/[aio]") != nil { count += 1 }
        }
        return count
    }
}
