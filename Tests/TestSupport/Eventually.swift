internal import Glibc

/// Looks again and again until something is so, within a bound: for what nobody announces.
public func eventually(seconds: Int = 60, _ isSo: () -> Bool) -> Bool {
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    let end = now.tv_sec + seconds
    while !isSo() {
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        if now.tv_sec > end { return isSo() }
        usleep(200)
    }
    return true
}
