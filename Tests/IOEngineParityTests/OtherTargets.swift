import CLinux
import Glibc
import SystemPackage
import TestSupport

/// Descriptors of what is no common file, by number.
final class OtherTargets {
    private(set) var numbers: [Target: Int32] = [:]
    private var opened: [Int32] = []

    /// - Parameter path: A file that is there.
    init(on fileSystem: TestFileSystem, _ path: String) throws {
        let close = O_CLOEXEC
        try add(.eventCounter, Self.call(SYS_eventfd2, 0, 0o2000000))
        try add(.timer, Self.call(SYS_timerfd_create, Int(CLOCK_MONOTONIC), 0))
        try add(.watch, Self.call(SYS_inotify_init1, 0, 0))
        try add(.signals, Self.signals())
        try add(.poll, Self.call(SYS_epoll_create1, 0, 0))
        try add(.process, Self.call(SYS_pidfd_open, Int(getpid()), 0))
        try add(.terminal, unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY | close))
        let pathOnly: Int32 = 0x20_0000
        try add(.nameOfFile, unsafe open(path, pathOnly | close))
        try add(.nameOfFolder, unsafe open(fileSystem.path, pathOnly | close))
        try add(.zeros, unsafe open("/dev/zero", O_RDWR | close))
        try add(.nothing, unsafe open("/dev/null", O_RDWR | close))
        try add(.memory, Self.memory())
        let nameless: Int32 = 0x40_0000 | O_DIRECTORY
        try add(.nameless, unsafe open(fileSystem.path, nameless | O_RDWR | close, 0o600))
        try add(.procFile, unsafe open("/proc/version", O_RDONLY | close))
        try add(.sysFile, unsafe open("/sys/devices/system/cpu/possible", O_RDONLY | close))
    }

    deinit { for number in opened { close(number) } }

    private func add(_ target: Target, _ number: Int32) throws {
        guard number >= 0 else { throw Errno(rawValue: errno) }
        opened.append(number)
        numbers[target] = number
    }

    /// A descriptor of a signal that nobody sends.
    private static func signals() -> Int32 {
        #if arch(x86_64)
            var signals: UInt64 = 1 << (UInt64(SIGWINCH) - 1)
            return unsafe withUnsafeMutablePointer(to: &signals) { signals in
                let address = Int(bitPattern: signals)
                return Int32(
                    truncatingIfNeeded: linux_call(Int(SYS_signalfd), -1, address, 8))
            }
        #else
            // The call that other machines have takes four arguments; a counter is like it.
            return call(SYS_eventfd2, 0, 0)
        #endif
    }

    private static func memory() -> Int32 {
        let name: StaticString = "parity"
        let address = unsafe Int(bitPattern: name.utf8Start)
        return call(SYS_memfd_create, address, 1)
    }

    /// A system call of two arguments that makes a descriptor.
    private static func call(_ number: Int32, _ first: Int, _ second: Int) -> Int32 {
        Int32(truncatingIfNeeded: linux_call(Int(number), first, second, 0))
    }
}
