import BasicContainers
import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// Events above what one request of the kernel moves, at offsets above 2^31 and 2^32.
@Suite(.serialized) struct LargeTransferTests {
    /// Memory that costs nothing until it is touched, all of it valid.
    private static func buffer(_ count: Int, valid: Bool) throws -> IOBuffer {
        let memory = unsafe mmap(
            nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { throw Errno.noMemory }
        return unsafe IOBuffer(
            adopting: UnsafeMutableRawBufferPointer(start: memory, count: count),
            count: valid ? count : 0
        ) { memory in unsafe munmap(memory.baseAddress, memory.count) }
    }

    /// Eight bytes that tell their place in the file, at the start of each page.
    private static func stamp(_ buffer: inout IOBuffer, from offset: Int) {
        var bytes = buffer.mutableBytes
        for place in stride(from: 0, to: bytes.byteCount - 8, by: 4096) {
            bytes.storeBytes(of: mark(offset + place), toByteOffset: place, as: UInt64.self)
        }
    }

    private static func mark(_ place: Int) -> UInt64 { UInt64(place) &* 0x9e37_79b9_7f4a_7c15 | 1 }

    /// Pages that do not have their mark.
    private static func wrongPages(_ buffer: borrowing IOBuffer, from offset: Int) -> Int {
        let bytes = buffer.bytes
        var wrong = 0
        for place in stride(from: 0, to: bytes.byteCount - 8, by: 4096) {
            let found = unsafe bytes.unsafeLoad(fromByteOffset: place, as: UInt64.self)
            if found != mark(offset + place) { wrong += 1 }
        }
        return wrong
    }

    static let cap = 0x7fff_f000

    @Test(
        "an event of more than 2 GiB is one event: right bytes, 64-bit count, one callback",
        .disabled(
            if: Sanitizer.isAddress, "gigabytes, and nothing AddressSanitizer would see only here"))
    func oneBuffer() throws {
        // From below 2^31 to above 2^32; the last page is not whole.
        let offset = (1 << 31) - (8 << 20)
        let length = (1 << 31) + (16 << 20) + 100
        let path = TemporaryFolder.newPath("large")
        let file = try openNew(path)
        defer { _ = unsafe unlink(path) }
        #expect(ftruncate(file.rawValue, 5 << 30) == 0)
        let calls = Counter()
        let returned = Slot<IOBuffer>()
        var loop = try IOLoop<ClosureCallback, URingDriver>(
            depth: 4, driver: try URingDriver(depth: 4))

        var buffer = try Self.buffer(length, valid: true)
        Self.stamp(&buffer, from: offset)
        let write = IOEvent<ClosureCallback>.write(file, from: buffer, at: Int64(offset))
            .onCompletion { event in
                calls.add()
                let outcome = event.outcome
                #expect(outcome.bytes == length)
                #expect(outcome.transferred == length && outcome.isDone)
            }
        let isAccepted = loop.submit(write).isAccepted
        #expect(isAccepted)
        while loop.inFlight > 0 { loop.run() }
        #expect(calls.value == 1)
        let continuations = loop.statistics.continuations
        #expect(continuations >= 1, "it cannot have been one request")

        // The write's buffer is gone; nothing of it can be left in this one.
        let read = IOEvent<ClosureCallback>.read(
            file, into: try Self.buffer(length, valid: false), at: Int64(offset)
        ).onCompletion { event in
            calls.add()
            let outcome = event.outcome
            #expect(outcome.bytes == length)
            #expect(outcome.count == length && outcome.isDone)
            returned.put(event.takeBuffer())
        }
        let isAcceptedToo = loop.submit(read).isAccepted
        #expect(isAcceptedToo)
        while loop.inFlight > 0 { loop.run() }
        #expect(calls.value == 2)
        let taken = try returned.take()
        let wrong = Self.wrongPages(taken, from: offset)
        #expect(wrong == 0)

        // Around the cap, 2^31 and 2^32, as pread sees it.
        for place in [offset, offset + Self.cap, 1 << 31, 1 << 32, offset + (1 << 31)] {
            let page = place / 4096 * 4096
            var found: UInt64 = 0
            let count = unsafe pread(file.rawValue, &found, 8, page)
            #expect(count == 8 && found == Self.mark(page), "at \(page)")
        }
        let before = try Self.marksAt(offset - 4096, of: file)
        #expect(before == 0, "nothing in front was written")

        try vectored(file, from: taken, offset)
    }

    private static func marksAt(_ place: Int, of file: IODescriptor) throws -> UInt64 {
        var found: UInt64 = 0
        guard unsafe pread(file.rawValue, &found, 8, place) == 8 else { throw Errno.ioError }
        return found
    }

    /// The same bytes again as a vectored event whose first buffer alone is above the cap.
    private func vectored(
        _ file: IODescriptor, from first: consuming IOBuffer, _ offset: Int
    ) throws {
        let whole = first.capacity
        var loop = try PulledLoop.make()
        var buffers = UniqueArray<IOBuffer>()
        buffers.append(first)
        var second = try Self.buffer(8192, valid: true)
        Self.stamp(&second, from: 0)
        buffers.append(second)
        let write = try loop.perform(.write(file, from: buffers, at: 0))
        let outcome = write.outcome
        _ = consume write
        #expect(outcome.bytes == whole + 8192)
        #expect(outcome.isDone)

        // New memory, all zeros: what is there afterwards was read.
        var parts = UniqueArray<IOBuffer>()
        parts.append(try Self.buffer(whole, valid: false))
        parts.append(try Self.buffer(8192, valid: false))
        var read = try loop.perform(.read(file, into: parts, at: 0))
        let outcomeOfRead = read.outcome
        #expect(outcomeOfRead.bytes == whole + 8192)
        var found = read.takeBuffers()
        let tail = found.remove(at: 1)
        #expect(tail.count == 8192)
        let wrong = Self.wrongPages(tail, from: 0)
        #expect(wrong == 0, "the buffer behind the cap")
        let head = found.remove(at: 0)
        let wrongAhead = Self.wrongPages(head, from: offset)
        #expect(head.count == whole)
        #expect(wrongAhead == 0)
    }
}
