import CLinux
import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport

/// A forked child drops a driver without a loop, with a request in flight and with a wake-up that
/// it listens to. It has closed all descriptors and opened files of its own, as a daemon does; they
/// stay open. The parent's driver goes on.
func forkedDriver(_ arguments: [String]) throws {
    let pipe = try Pipe()
    let memory = RawMemory(64)
    let made = try URingDriver(depth: 4)
    let waker = made.waker
    var driver: URingDriver? = consume made
    try driver?.mustStage(IORequest(.read, 0, pipe.readEnd.rawValue, memory))
    let soon = IOInstant.monotonic().advanced(by: .milliseconds(1))
    _ = driver?.submit(minimum: 1, deadline: soon)
    let child = linux_fork()
    if child == 0 {
        boundTime()
        for number in 3..<64 as Range<Int32> { close(number) }
        var own: [Int32] = []
        while own.last ?? 0 < 40 {
            let number = unsafe open("/dev/null", O_RDONLY)
            if number < 0 { _exit(3) }
            own.append(number)
        }
        driver = nil
        for number in own where fcntl(number, F_GETFD) < 0 { _exit(4) }
        _exit(0)
    }
    expectEnd(of: child, "a child that drops a driver")
    waker.wake()
    let far = IOInstant.monotonic().advanced(by: .seconds(20))
    check(
        driver?.submit(minimum: 1, deadline: far) == .woken, "the parent's driver hears no wake-up")
    _ = driver?.finished()
    try pipe.write([1, 2])
    let results = try driver?.finish(1)
    check(results == [0: 2], "the parent's read: \(results ?? [:])")
}
