import CLinux
import Glibc
import IOEngineCore
import TestSupport

/// What an owner could leave behind.
struct Holdings {
    /// Bytes that the C library has given out.
    var heapBytes: Int
    /// Pieces of address space: rings, stacks and memory mapped by hand.
    var mappings: Int
    var descriptors: Int
    /// Of these, rings of io_uring.
    var rings: Int
    var threads: Int
    /// Contexts of Linux AIO that the process has mapped.
    var contexts: Int
    /// Requests of the whole machine that count against fs.aio-max-nr.
    var aioNumber: Int

    static var now: Holdings {
        let heap = mallinfo2()
        let possessions = Possessions.now
        return Holdings(
            heapBytes: Int(heap.uordblks) + Int(heap.hblkhd),
            mappings: SmallFile.text("/proc/self/maps")?.split(separator: "\n").count ?? 0,
            descriptors: possessions.descriptors, rings: openRings,
            threads: possessions.threads, contexts: possessions.contexts,
            aioNumber: aioNumber)
    }

    /// What there is when nothing ends any more: threads, and what ends on threads, end a little later
    /// than their owners.
    static func atRest() -> Holdings {
        let deadline = IOInstant.monotonic().advanced(by: .seconds(20))
        while Possessions.now.threads > 1 || Possessions.now.contexts > 0
            || aioNumber > numberAtStart, IOInstant.monotonic() < deadline
        {
            sched_yield()
        }
        // The stack of a thread that nobody joins, with all that the C library keeps for the thread, is
        // freed when another thread ends later.
        try? TestThread({}).join()
        return now
    }

    private static let numberAtStart = aioNumber

    private static var aioNumber: Int {
        SmallFile.text("/proc/sys/fs/aio-nr").flatMap { Int($0) } ?? 0
    }

    private static var openRings: Int {
        (0..<512).count { number in
            var path = [CChar](repeating: 0, count: 64)
            let count = unsafe readlink("/proc/self/fd/\(number)", &path, path.count)
            let name = path[..<max(0, count)].map { UInt8(bitPattern: $0) }
            return String(decoding: name, as: UTF8.self) == "anon_inode:[io_uring]"
        }
    }
}
