import CLinux
import Glibc
import IOEngineAIO
import IOEngineCore

/// Becomes another program, whose system calls a seccomp filter refuses. Arguments: the errno's number;
/// "uring" or "both"; the program and its arguments.
func runRefused(_ arguments: [String]) throws {
    try refuse(Int32(arguments[0]) ?? ENOSYS, refusesAIO: arguments[1] == "both")
    become(Array(arguments.dropFirst(2)))
}

/// Becomes another program under a limit. Arguments: the resource's number; the limit; the program and its
/// arguments.
func runLimited(_ arguments: [String]) throws {
    setLimit(Int32(arguments[0]) ?? -1, UInt(arguments[1]) ?? 0)
    become(Array(arguments.dropFirst(2)))
}

private func become(_ arguments: [String]) {
    var words = unsafe arguments.map { unsafe strdup($0) } + [nil]
    unsafe execvp(arguments[0], &words)
    check(false, "cannot run \(arguments[0]): errno \(errno)")
}

/// Takes requests of Linux AIO away from everybody else, says "ready", and keeps them until its standard
/// input ends. Argument: how many.
func holdAIO(_ arguments: [String]) throws {
    let count = Int(arguments[0]) ?? 1
    // One more is taken for wake-ups.
    let driver = try AIODriver(depth: count - 1)
    print("ready")
    fflush(nil)
    while getchar() != EOF {}
    check(driver.capabilities.depth == count - 1, "the driver is gone")
}
