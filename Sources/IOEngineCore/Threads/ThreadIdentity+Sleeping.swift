internal import CLinux
internal import Glibc

extension ThreadIdentity {
    /// Gives the processor away for a while, also to threads of lower priority. Below a second.
    static func sleep(nanoseconds: Int) {
        var time = timespec(tv_sec: 0, tv_nsec: nanoseconds)
        unsafe nanosleep(&time, nil)
    }
}
