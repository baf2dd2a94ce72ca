internal import Glibc

/// The errno numbers that the loop itself decides on, as plain integers for the hot path.
@usableFromInline
enum Errnos {
    @usableFromInline static var notPermitted: Int32 { EPERM }
    @usableFromInline static var noFunction: Int32 { ENOSYS }
    @usableFromInline static var interrupted: Int32 { EINTR }
    @usableFromInline static var again: Int32 { EAGAIN }
    @usableFromInline static var invalidArgument: Int32 { EINVAL }
    @usableFromInline static var ioError: Int32 { EIO }
    @usableFromInline static var badDescriptor: Int32 { EBADF }
    @usableFromInline static var isDirectory: Int32 { EISDIR }
    @usableFromInline static var illegalSeek: Int32 { ESPIPE }
    @usableFromInline static var fileTooLarge: Int32 { EFBIG }
    @usableFromInline static var notSupported: Int32 { EOPNOTSUPP }
    @usableFromInline static var canceled: Int32 { ECANCELED }
    @usableFromInline static var timedOut: Int32 { ETIMEDOUT }
    @usableFromInline static var notRecoverable: Int32 { ENOTRECOVERABLE }
}
