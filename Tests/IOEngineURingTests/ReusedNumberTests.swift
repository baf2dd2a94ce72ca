import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// A descriptor's number is closed and given to another file: what the loop learnt of the first does
/// not decide over the second.
@Suite struct ReusedNumberTests {
    /// Numbers that nothing else in this process uses, so that tests in parallel cannot take them.
    private static func move(_ descriptor: FileDescriptor, to number: Int32) throws
        -> FileDescriptor
    {
        defer { try? descriptor.close() }
        return try descriptor.duplicate(as: FileDescriptor(rawValue: number))
    }

    private static func file(_ byte: UInt8) throws -> FileDescriptor {
        let file = try FileDescriptor.open(
            FilePath(TemporaryFolder.newPath("number")), .readWrite, options: [.create, .truncate],
            permissions: .ownerReadWrite)
        _ = try file.writeAll([UInt8](repeating: byte, count: 64))
        return file
    }

    @Test("a directory's number given to a file: the file is read, without forget")
    func directoryThenFile() throws {
        var loop = try PulledLoop.make()
        let folder = try Self.move(.open(FilePath(TemporaryFolder.path), .readOnly), to: 700)
        let refused = try loop.perform(.read(folder, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(refused.errno == .isDirectory)
        try folder.close()
        let file = try Self.move(Self.file(7), to: 700)
        defer { try? file.close() }
        let read = try loop.perform(.read(file, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(read.bytes == 64)
    }

    @Test("a pipe's number given to a directory and to a file, one after the other")
    func pipeThenOthers() throws {
        var loop = try PulledLoop.make()
        let pipe = try Pipe()
        let first = try pipe.readEnd.duplicate(as: FileDescriptor(rawValue: 701))
        let refused = try loop.perform(.read(first, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(refused.errno == .illegalSeek)
        try first.close()
        let folder = try Self.move(.open(FilePath(TemporaryFolder.path), .readOnly), to: 701)
        let second = try loop.perform(.read(folder, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(second.errno == .isDirectory)
        try folder.close()
        let closed = try loop.perform(.read(folder, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(closed.errno == .badFileDescriptor)
        let file = try Self.move(Self.file(9), to: 701)
        defer { try? file.close() }
        let third = try loop.perform(.read(file, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(third.bytes == 64)
    }

    @Test("a file's number given to a pipe: after forget it answers ESPIPE and consumes nothing")
    func fileThenPipe() throws {
        var loop = try PulledLoop.make()
        let file = try Self.move(Self.file(1), to: 702)
        let read = try loop.perform(.read(file, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(read.bytes == 64)
        try file.close()
        let isForgotten = loop.forget(file)
        #expect(isForgotten)
        let pipe = try Pipe()
        try pipe.write([1, 2, 3])
        let again = try pipe.readEnd.duplicate(as: FileDescriptor(rawValue: 702))
        defer { try? again.close() }
        let refused = try loop.perform(.read(again, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(refused.errno == .illegalSeek)
        #expect(pipe.bytesInside == 3)
    }

    @Test("forget is refused while an event of the number is in flight")
    func forgetInFlight() throws {
        var loop = try PulledLoop.make()
        let file = try Self.file(1)
        defer { try? file.close() }
        let isAccepted = loop.submit(.read(file, into: IOBuffer(capacity: 64), at: 0)).isAccepted
        #expect(isAccepted)
        let early = loop.forget(file)
        #expect(!early)
        let event = try loop.waitForOne()
        let bytes = event.outcome.bytes
        #expect(bytes == 64)
        let late = loop.forget(file)
        #expect(late)
    }

    @Test("an IODescriptor that got a closed one's number is known anew, its registration too")
    func objects() throws {
        var loop = try PulledLoop.make()
        let first = try IODescriptor(adopting: Self.move(Self.file(1), to: 703))
        let registration = loop.register(first)
        #expect(registration == .registered(index: 0))
        var read = try loop.perform(.read(first, into: IOBuffer(capacity: 64), at: 0))
        var byte = read.buffer[0]
        #expect(byte == 1)
        try first.close()
        let second = try IODescriptor(adopting: Self.move(Self.file(2), to: 703))
        read = try loop.perform(.read(second, into: IOBuffer(capacity: 64), at: 0))
        byte = read.buffer[0]
        #expect(byte == 2, "the registered file of the closed descriptor is not used")
        let refused = try loop.perform(.read(first, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(refused.errno == .badFileDescriptor, "the closed object stays closed")
        let again = loop.register(second)
        #expect(again == .registered(index: 0), "the place is free again")
        read = try loop.perform(.read(second, into: IOBuffer(capacity: 64), at: 0))
        byte = read.buffer[0]
        #expect(byte == 2)
    }

    @Test("a plain number that was registered reads its new file after forget")
    func registeredPlain() throws {
        var loop = try PulledLoop.make()
        let first = try Self.move(Self.file(1), to: 704)
        let registration = loop.register(first)
        #expect(registration == .registered(index: 0))
        try first.close()
        let isForgotten = loop.forget(first)
        #expect(isForgotten)
        let second = try Self.move(Self.file(2), to: 704)
        defer { try? second.close() }
        let read = try loop.perform(.read(second, into: IOBuffer(capacity: 64), at: 0))
        let byte = read.buffer[0]
        #expect(byte == 2)
    }

    @Test("a registered directory's number given to a file: the file is read, without forget")
    func registeredDirectory() throws {
        var loop = try PulledLoop.make()
        let folder = try Self.move(.open(FilePath(TemporaryFolder.path), .readOnly), to: 705)
        let registration = loop.register(folder)
        #expect(registration == .registered(index: 0))
        try folder.close()
        let file = try Self.move(Self.file(5), to: 705)
        defer { try? file.close() }
        let read = try loop.perform(.read(file, into: IOBuffer(capacity: 64), at: 0)).outcome
        #expect(read.bytes == 64, "its refusal had the file looked at anew, registration included")
    }
}
