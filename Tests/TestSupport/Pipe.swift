internal import Glibc
public import SystemPackage

/// A pipe: what is read from it when it is empty stays in flight.
public final class Pipe {
    public let readEnd: FileDescriptor
    public let writeEnd: FileDescriptor

    public init() throws {
        (readEnd, writeEnd) = try FileDescriptor.pipe()
    }

    deinit {
        try? readEnd.close()
        try? writeEnd.close()
    }

    public func write(_ bytes: [UInt8]) throws { _ = try writeEnd.writeAll(bytes) }

    /// Bytes that a read would find.
    public var bytesInside: Int {
        var count: Int32 = 0
        // FIONREAD
        return unsafe ioctl(readEnd.rawValue, 0x541B, &count) == 0 ? Int(count) : -1
    }
}
