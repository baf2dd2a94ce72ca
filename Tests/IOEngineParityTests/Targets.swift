import Glibc
import IOEngineCore
import SystemPackage
import TestSupport

/// The descriptors of one run: a file, opened in every way, and what is no file.
final class Targets {
    let path: String
    private let files: [Target: IODescriptor]
    private let pipe: Pipe
    private let sockets: (Int32, Int32)
    private let others: OtherTargets

    /// - Parameter content: Of the file.
    init(on fileSystem: TestFileSystem, content: [UInt8]) throws {
        path = fileSystem.newPath("parity")
        let name = FilePath(path)
        let first = try openNew(path)
        _ = try first.fileDescriptor.writeAll(content)
        fsync(first.rawValue)
        let closed = try IODescriptor.open(name, .readWrite)
        _ = try closed.close()
        files = [
            .buffered: first,
            .direct: try .open(name, .readWrite, direct: true),
            .appending: try .open(name, .writeOnly, options: .append),
            .appendingDirect: try .open(name, .writeOnly, options: .append, direct: true),
            .readOnly: try .open(name, .readOnly),
            .writeOnly: try .open(name, .writeOnly),
            .folder: try .open(FilePath(fileSystem.path), .readOnly),
            .closed: closed,
        ]
        pipe = try Pipe()
        try pipe.write([1, 2, 3])
        var pair: (Int32, Int32) = (-1, -1)
        let made = unsafe withUnsafeMutableBytes(of: &pair) { bytes in
            unsafe socketpair(
                AF_UNIX, Int32(SOCK_STREAM.rawValue), 0,
                bytes.assumingMemoryBound(to: Int32.self).baseAddress.unsafelyUnwrapped)
        }
        guard made == 0 else { throw Errno(rawValue: errno) }
        sockets = pair
        others = try OtherTargets(on: fileSystem, path)
    }

    deinit {
        close(sockets.0)
        close(sockets.1)
    }

    /// The file as an object, where it is one.
    func file(_ target: Target) -> IODescriptor? { files[target] }

    /// The number of what is no file of ours.
    func number(_ target: Target) -> FileDescriptor {
        switch target {
        case .pipeOut: pipe.readEnd
        case .pipeIn: pipe.writeEnd
        case .socket: FileDescriptor(rawValue: sockets.0)
        case .negative: FileDescriptor(rawValue: -5)
        default: FileDescriptor(rawValue: others.numbers[target] ?? 999_999)
        }
    }

    /// Bytes that nobody took out of the pipe.
    var bytesInPipe: Int { pipe.bytesInside }

    /// Out of the page cache, so that reads need the device. Buffered reads then find nothing.
    func dropCache() {
        guard let file = files[.buffered] else { return }
        fsync(file.rawValue)
        posix_fadvise(file.rawValue, 0, 0, POSIX_FADV_DONTNEED)
    }

    /// Bytes of the file.
    func size() throws -> Int64 {
        guard let file = files[.buffered] else { return -1 }
        return try file.fileDescriptor.seek(offset: 0, from: .end)
    }

    /// The file, as `pread(2)` sees it; of one that is very large, the first 16 MiB.
    func content() throws -> [UInt8] {
        let file = try FileDescriptor.open(FilePath(path), .readOnly)
        defer { try? file.close() }
        let size = Int(min(try self.size(), 16 << 20))
        var bytes = [UInt8](repeating: 0, count: size)
        var count = 0
        while count < size {
            let here = count
            let more = try unsafe bytes.withUnsafeMutableBytes { all in
                try unsafe file.read(
                    fromAbsoluteOffset: Int64(here),
                    into: UnsafeMutableRawBufferPointer(rebasing: all[here...]))
            }
            if more == 0 { break }
            count += more
        }
        return bytes
    }
}
