import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// Registered memory and descriptors, through the driver and through the loop.
@Suite struct RegistrationTests {
    @Test("requests that carry a region's index use it, and the bytes are right")
    func regions() throws {
        let wanted = pattern(8192)
        let file = try fileWith(wanted)
        var driver = try URingDriver(depth: 8)
        let first = RawMemory(4096)
        let second = RawMemory(8192)
        let answer = unsafe driver.register(regions: [first.bytes, second.bytes])
        #expect(answer == .registered(index: 0))
        try driver.mustStage(IORequest(.read, 0, file.rawValue, first, region: 0))
        try driver.mustStage(
            IORequest(.read, 1, file.rawValue, second, place: 100, count: 4096, at: 4096, region: 1)
        )
        // Memory that does not lie in the region shows that the index is used at all.
        try driver.mustStage(IORequest(.read, 2, file.rawValue, first, region: 1))
        try driver.mustStage(IORequest(.read, 3, file.rawValue, first, region: 5))
        var results = try driver.finish(4)
        #expect(results == [0: 4096, 1: 4096, 2: Int(-EFAULT), 3: Int(-EFAULT)])
        #expect((0..<4096).allSatisfy { first[$0] == wanted[$0] })
        #expect((0..<4096).allSatisfy { second[100 + $0] == wanted[4096 + $0] })

        try driver.mustStage(IORequest(.write, 0, file.rawValue, second, at: 8192, region: 1))
        results = try driver.finish(1)
        #expect(results == [0: 8192])

        // A second set takes the place of the first; an empty one ends it.
        let replaced = unsafe driver.register(regions: [second.bytes])
        #expect(replaced == .registered(index: 0))
        try driver.mustStage(IORequest(.read, 0, file.rawValue, first, region: 0))
        try driver.mustStage(IORequest(.read, 1, file.rawValue, second, region: 0))
        results = try driver.finish(2)
        #expect(results == [0: Int(-EFAULT), 1: 8192])
        let ended = unsafe driver.register(regions: [])
        #expect(ended == .registered(index: 0))
        try driver.mustStage(IORequest(.read, 0, file.rawValue, second, region: 0))
        results = try driver.finish(1)
        #expect(results == [0: Int(-EFAULT)])
    }

    @Test("requests that carry a descriptor's index need no number; a full table says ENFILE")
    func descriptors() throws {
        let one = try fileWith([1, 1, 1])
        let two = try fileWith([2, 2, 2])
        var driver = try URingDriver(depth: 8, configuration: .init(registeredDescriptors: 2))
        let first = driver.register(descriptor: one.rawValue)
        let second = driver.register(descriptor: two.rawValue)
        let third = driver.register(descriptor: two.rawValue)
        #expect(first == .registered(index: 0) && second == .registered(index: 1))
        #expect(third == .unavailable(errno: ENFILE))
        let memory = RawMemory(6)
        try driver.mustStage(IORequest(.read, 0, -1, memory, count: 3, registered: 0))
        try driver.mustStage(IORequest(.read, 1, -1, memory, place: 3, count: 3, registered: 1))
        try driver.mustStage(IORequest(.read, 2, -1, memory, count: 3, registered: 7))
        var results = try driver.finish(3)
        #expect(results == [0: 3, 1: 3, 2: Int(-EBADF)])
        #expect(memory[0] == 1 && memory[5] == 2)

        driver.unregister(descriptorIndex: 0)
        try driver.mustStage(IORequest(.read, 0, -1, memory, count: 3, registered: 0))
        results = try driver.finish(1)
        #expect(results == [0: Int(-EBADF)])
        let bad = driver.register(descriptor: 999_999)
        #expect(bad == .unavailable(errno: EBADF))
        let again = driver.register(descriptor: two.rawValue)
        #expect(again == .registered(index: 0), "the place that a bad number took is free")

        var without = try URingDriver(depth: 2, configuration: .init(registeredDescriptors: 0))
        let none = without.register(descriptor: one.rawValue)
        #expect(none == .unavailable(errno: EOPNOTSUPP))
    }

    private func take(_ pool: IOBufferPool) throws -> IOBuffer {
        guard let buffer = pool.take() else { throw Errno.noBufferSpace }
        return buffer
    }

    /// Writes from and reads into buffers of a pool.
    private func useThrough(
        _ loop: inout PulledLoop, _ pool: IOBufferPool, _ file: IODescriptor, _ byte: UInt8
    ) throws {
        var buffer = try take(pool)
        buffer.fill(with: byte)
        let wrote = try loop.perform(.write(file, from: buffer, at: 0)).outcome
        #expect(wrote.bytes == pool.bufferCapacity)
        let event = try loop.perform(.read(file, into: try take(pool), at: 0))
        let read = event.outcome
        #expect(read.bytes == pool.bufferCapacity && read.count == pool.bufferCapacity)
        let (start, end) = (event.buffer[0], event.buffer[read.count - 1])
        #expect(start == byte && end == byte)
    }

    @Test("a pool registered with a loop is used, a second one takes its place, others work too")
    func pools() throws {
        let file = try openNew(TemporaryFolder.newPath("pool"), direct: true)
        var loop = try PulledLoop.make()
        let first = try IOBufferPool(count: 4, bufferCapacity: 8192)
        let second = try IOBufferPool(count: 3, bufferCapacity: 4096)
        var answer = loop.register(first)
        #expect(answer == .registered(index: 0))
        try useThrough(&loop, first, file, 1)
        try useThrough(&loop, second, file, 2)
        _ = loop.submit(.read(file, into: try take(first), at: 0))
        answer = loop.register(second)
        #expect(answer == .unavailable(errno: EBUSY), "the first is in use")
        _ = try loop.waitForOne()
        answer = loop.register(second)
        #expect(answer == .registered(index: 0))
        try useThrough(&loop, first, file, 3)
        try useThrough(&loop, second, file, 4)
        answer = loop.register(second)
        #expect(answer == .registered(index: 0))
    }

    @Test("a descriptor registered with a loop reads, unregisters, and the table's end is told")
    func descriptorsThroughLoop() throws {
        let file = try fileWith(pattern(100))
        let other = try fileWith(pattern(100, from: 5))
        var loop = try PulledLoop.make(depth: 4, .init(registeredDescriptors: 1))
        var answer = loop.register(file)
        #expect(answer == .registered(index: 0))
        answer = loop.register(file)
        #expect(answer == .registered(index: 0), "once is enough")
        answer = loop.register(other)
        #expect(answer == .unavailable(errno: ENFILE))
        for descriptor in [file, other] {
            let read = try loop.perform(.read(descriptor, into: IOBuffer(capacity: 200), at: 0))
                .outcome
            #expect(read.bytes == 100)
        }
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 200), at: 0))
        let early = loop.unregister(file)
        #expect(!early)
        _ = try loop.waitForOne()
        let late = loop.unregister(file)
        #expect(late)
        answer = loop.register(other)
        #expect(answer == .registered(index: 0))
        for descriptor in [file, other] {
            let read = try loop.perform(.read(descriptor, into: IOBuffer(capacity: 200), at: 0))
            let byte = read.buffer[0]
            #expect(byte == (descriptor === file ? pattern(1)[0] : pattern(1, from: 5)[0]))
        }
        let sync = try loop.perform(.sync(other)).outcome
        #expect(sync.error == nil)
        let closed = try openNew(TemporaryFolder.newPath())
        try closed.close()
        answer = loop.register(closed)
        #expect(answer == .unavailable(errno: EBADF))
    }
}
