import IOEngineCore
import Synchronization
import Testing

@Suite struct BufferTests {
    @Test func aFreshBufferShowsNothing() {
        let buffer = IOBuffer(capacity: 4096)
        #expect(buffer.count == 0 && buffer.bytes.byteCount == 0 && buffer.isEmpty)
        #expect(buffer.capacity == 4096)
    }

    @Test(arguments: [1, 16, 512, 4096, 65_536])
    func theMemoryIsAligned(_ alignment: Int) {
        for capacity in [1, 100, 4096, 100_000] {
            var buffer = IOBuffer(capacity: capacity, alignment: alignment)
            let address = unsafe buffer.withUnsafeMutableBytes { UInt(bitPattern: $0.baseAddress) }
            #expect(address % UInt(alignment) == 0)
        }
    }

    @Test func resizingAddsZerosAndDropsBytes() {
        var buffer = IOBuffer(copying: [1, 2, 3], capacity: 8)
        buffer.resize(to: 6)
        #expect((0..<6).map { buffer[$0] } == [1, 2, 3, 0, 0, 0])
        buffer.resize(to: 2)
        #expect(buffer.count == 2 && buffer[1] == 2)
        // What was dropped does not come back.
        buffer.resize(to: 3)
        #expect(buffer[2] == 0)
    }

    @Test func appendingFillsUpToTheCapacity() {
        var buffer = IOBuffer(capacity: 4)
        buffer.append(7)
        unsafe buffer.append(copying: [UInt8]([8, 9]).span.bytes)
        buffer.append(addingCapacity: 1) { span in span.append(10) }
        #expect((0..<4).map { buffer[$0] } == [7, 8, 9, 10])
    }

    @Test func appendingInPlaceKeepsWhatWasAppendedWhenItThrows() {
        struct Stop: Error {}
        var buffer = IOBuffer(capacity: 4)
        do {
            try buffer.append(addingCapacity: 4) { (span: inout OutputRawSpan) throws(Stop) in
                span.append(1)
                throw Stop()
            }
            Issue.record("must throw")
        } catch {}
        #expect(buffer.count == 1 && buffer[0] == 1)
    }

    @Test func bytesCanBeChangedInPlace() {
        var buffer = IOBuffer(zeroed: 16)
        var bytes = buffer.mutableBytes
        bytes.storeBytes(of: 0x0102_0304, toByteOffset: 4, as: UInt32.self)
        #expect(buffer[4] == 4 && buffer[7] == 1)
        buffer[0] = 9
        #expect(buffer[0] == 9)
    }

    @Test func adoptedMemoryGoesBackExactlyOnce() {
        do {
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
            let buffer = unsafe IOBuffer(adopting: memory, count: 0) { memory in
                unsafe memory.deallocate()
                BufferTests.returned.add(1, ordering: .relaxed)
            }
            #expect(buffer.capacity == 64)
            let moved = buffer
            #expect(moved.count == 0)
        }
        #expect(BufferTests.returned.load(ordering: .relaxed) == 1)
    }

    static let returned = Atomic<Int>(0)

    @Test func aBufferWithoutMemoryIsFree() {
        let buffer = IOBuffer()
        #expect(buffer.capacity == 0 && buffer.bytes.byteCount == 0)
        let empty = IOBuffer(capacity: 0)
        #expect(empty.capacity == 0)
    }

    @Test func argumentsOutOfRangeStopTheProgram() async {
        await #expect(processExitsWith: .failure) { _ = IOBuffer(capacity: -1) }
        await #expect(processExitsWith: .failure) { _ = IOBuffer(capacity: 1, alignment: 3) }
        await #expect(processExitsWith: .failure) { _ = IOBuffer(capacity: 8)[0] }
        await #expect(processExitsWith: .failure) {
            var buffer = IOBuffer(capacity: 8)
            buffer.resize(to: 9)
        }
    }
}

@Suite struct BufferPoolTests {
    @Test func itLendsEachBufferOnceAndTakesItBack() throws {
        let pool = try IOBufferPool(count: 3, bufferCapacity: 1000)
        do {
            var first = try unwrap(pool.take())
            let second = try unwrap(pool.take())
            let third = try unwrap(pool.take())
            #expect(throws: Missing.self) { _ = try unwrap(pool.take()).count }
            first.fill(with: 5)
            #expect(second.capacity == 1000 && third.count == 0)
        }
        // All three are back, and show nothing of what was in them.
        let again = try unwrap(pool.take())
        #expect(again.isEmpty == true)
    }

    @Test(arguments: [1, 512, 4096, 8192, 65_536])
    func buffersAreAlignedAndDoNotOverlap(_ alignment: Int) throws {
        let pool = try IOBufferPool(count: 17, bufferCapacity: 700, alignment: alignment)
        var starts: [UInt] = []
        func keep(_ depth: Int) throws {
            if depth == 17 { return }
            var buffer = try unwrap(pool.take())
            starts.append(
                unsafe buffer.withUnsafeMutableBytes { UInt(bitPattern: $0.baseAddress) })
            try keep(depth + 1)
        }
        try keep(0)
        starts.sort()
        for (one, next) in zip(starts, starts.dropFirst()) { #expect(next - one >= 700) }
        for start in starts { #expect(start % UInt(alignment) == 0) }
    }

    @Test(arguments: [(3, 100, 16), (5, 1 << 20, 4096), (2, 4096, 4 << 20)])
    func hugePagesChangeNothingButTheMemory(_ count: Int, _ capacity: Int, _ alignment: Int) throws
    {
        let pool = try IOBufferPool(
            count: count, bufferCapacity: capacity, alignment: alignment, hugePages: true)
        func keep(_ depth: Int) throws {
            if depth == count {
                #expect(throws: Missing.self) { _ = try unwrap(pool.take()).count }
                return
            }
            var buffer = try unwrap(pool.take())
            buffer.fill(with: UInt8(depth))
            let start = unsafe buffer.withUnsafeMutableBytes { UInt(bitPattern: $0.baseAddress) }
            #expect(start % UInt(alignment) == 0)
            try keep(depth + 1)
            #expect(buffer[0] == UInt8(depth) && buffer[capacity - 1] == UInt8(depth))
        }
        try keep(0)
        try keep(0)
    }

    @Test func aBufferOutlivesItsPool() throws {
        var pool: IOBufferPool? = try IOBufferPool(count: 1, bufferCapacity: 4096)
        var buffer = try unwrap(pool?.take())
        pool = nil
        buffer.fill(with: 1)
        #expect(buffer[4095] == 1)
    }

    @Test func badArgumentsAndTooMuchMemoryAreErrors() {
        for (count, capacity, alignment) in [
            (0, 1, 1), (-1, 1, 1), (1, 0, 1), (1, 1, 3), (1, 1, 0), (.max, .max, 1),
            (1 << 20, 1 << 50, 4096),
        ] {
            #expect(throws: IOError.self) {
                _ = try IOBufferPool(count: count, bufferCapacity: capacity, alignment: alignment)
            }
        }
    }

    @Test func buffersComeBackFromOtherThreads() async throws {
        let pool = try IOBufferPool(count: 4, bufferCapacity: 64)
        await withTaskGroup(of: Int.self) { group in
            for task in 0..<4 {
                group.addTask {
                    var taken = 0
                    for _ in 0..<20_000 {
                        guard var buffer = pool.take() else { continue }
                        buffer.fill(with: UInt8(task))
                        if buffer[63] != UInt8(task) || buffer[0] != UInt8(task) { return -1 }
                        taken += 1
                    }
                    return taken
                }
            }
            for await taken in group { #expect(taken > 0) }
        }
        var all = 0
        func count() {
            if let buffer = pool.take() {
                all += 1
                count()
                _ = buffer.count
            }
        }
        count()
        #expect(all == 4)
    }
}
