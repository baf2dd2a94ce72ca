import Glibc
import SystemPackage

/// A pipe: what is read from it when it is empty stays in flight.
final class Pipe {
    let readEnd: FileDescriptor
    let writeEnd: FileDescriptor

    init() throws {
        (readEnd, writeEnd) = try FileDescriptor.pipe()
    }

    deinit {
        try? readEnd.close()
        try? writeEnd.close()
    }

    func write(_ bytes: [UInt8]) throws { _ = try writeEnd.writeAll(bytes) }

    /// Bytes that a read would find.
    var bytesInside: Int {
        var count: Int32 = 0
        // FIONREAD
        return unsafe ioctl(readEnd.rawValue, 0x541B, &count) == 0 ? Int(count) : -1
    }
}
