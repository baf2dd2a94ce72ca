import Glibc
import IOEngineCore
import IOEngineMock
import SystemPackage
import Testing

@Suite struct DescriptorTests {
    /// An open file of its own.
    func open() throws -> IODescriptor {
        try IODescriptor.open("/dev/zero", .readOnly)
    }

    func isOpen(_ number: Int32) -> Bool { (try? IODescriptorFacts(of: number)) != nil }

    func makeLoop(_ script: Script) throws -> IOLoop<NoCallback, MockDriver> {
        try IOLoop(depth: script.depth, driver: script.makeDriver())
    }

    func script() -> Script { Script(seed: 1, depth: 4, fileSize: 4096, regionSize: 4096) }

    /// The kernel may still look the number up, or write to what has it by then.
    @Test func underARequestThatADeadDriverNeverSettlesTheNumberStaysOpen() throws {
        let number: Int32
        let script = script()
        script.late = 100
        do {
            let object = try open()
            number = object.rawValue
            let facts = object.facts
            script.inspects = { _ in facts }
            var loop = try makeLoop(script)
            #expect(loop.submit(.sync(object)).isAccepted == true)
            _ = loop.wait(minimum: 0)
            script.failure = Errno.ioError.rawValue
        }
        #expect(isOpen(number), "it was closed under a request")
        close(number)
    }

    @Test func theFactsOfKindsOfFiles() throws {
        let folder = try FileDescriptor.open(FilePath("/"), .readOnly)
        #expect(try IODescriptorFacts(of: folder.rawValue).kind == .directory)
        try folder.close()
        let zero = try open()
        #expect(zero.facts.kind == .characterDevice && zero.facts.isReadable)
        #expect(!zero.facts.isWritable && !zero.facts.isDirect)
        #expect(throws: Errno.badFileDescriptor) { _ = try IODescriptorFacts(of: 9999) }
    }

    @Test func filesInMemoryAreKnownAsSuch() throws {
        let name = "/dev/shm/ioengine-core-tests"
        let memory = try IODescriptor.open(FilePath(name), .readWrite, options: .create)
        unsafe unlink(name)
        #expect(memory.facts.isInMemory == true)
        #expect(try open().facts.isInMemory == false)
    }

    @Test func requestsTellWhatIsKnownOfTheirDescriptor() throws {
        let script = script()
        var facts = IODescriptorFacts(size: 4096, inode: 1, offsetAlignment: 512)
        script.inspects = { _ in facts }
        var loop = try makeLoop(script)
        let file = FileDescriptor(rawValue: 3)
        let wanted: [IODescriptorTraits] = [
            .known, [.known, .direct], [.known, .inMemory], [.known, .appending],
        ]
        for traits in wanted {
            facts.isDirect = traits.contains(.direct)
            facts.isInMemory = traits.contains(.inMemory)
            facts.isAppending = traits.contains(.appending)
            loop.forget(file)
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 16), at: 0))
            _ = loop.submit(.sync(file))
            _ = loop.wait()
            while loop.next() != nil {}
        }
        let seen = script.allRequests.map(\.traits)
        #expect(seen == wanted.flatMap { [$0, $0] })
        let alignments = script.allRequests.map { 1 << Int($0.alignmentLogarithm) }
        #expect(alignments == [1, 1, 512, 512, 1, 1, 1, 1], "only direct IO needs any")
    }

    @Test func openingTellsWhatIsWrong() {
        let missing = #expect(throws: IOError.self) {
            _ = try IODescriptor.open("/no/such/file", .readOnly)
        }
        #expect(missing?.errno == .noSuchFileOrDirectory)
        #expect(missing?.description.contains("/no/such/file") == true)
        let folder = #expect(throws: IOError.self) { _ = try IODescriptor.open("/", .writeOnly) }
        #expect(folder?.errno == .isDirectory)
    }

    @Test func closingWithNothingInFlightClosesAtOnceAndOnce() throws {
        let file = try open()
        #expect(try file.close())
        #expect(file.isClosed)
        let error = #expect(throws: IOError.self) { try file.close() }
        #expect(error?.errno == .badFileDescriptor)
    }

    @Test func closingWaitsForWhatIsInFlightAndRefusesWhatComesAfter() throws {
        let script = script()
        script.late = 100
        var loop = try makeLoop(script)
        let file = try open()
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 16), at: 0))
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 16), at: 16))
        #expect(try file.close() == false)
        #expect(isOpen(file.rawValue))
        _ = loop.submit(.read(file, into: IOBuffer(capacity: 16), at: 32))
        let refused = try unwrap(loop.next())
        guard case .failure(let error) = refused.result else {
            Issue.record("?")
            return
        }
        #expect(error.reason == .closedDescriptor && error.errno == .badFileDescriptor)
        script.late = 0
        _ = loop.wait(minimum: 2)
        #expect(try unwrap(loop.next()).errno == nil)
        #expect(isOpen(file.rawValue))
        #expect(try unwrap(loop.next()).errno == nil)
        // Another test may have opened the number again; what counts is that it was let go.
        #expect(throws: IOError.self) { try file.close() }
    }

    @Test func anEventKeepsItsFileOpen() throws {
        let script = script()
        var loop = try makeLoop(script)
        var number: Int32 = -1
        do {
            let file = try open()
            number = file.rawValue
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 16), at: 0))
        }
        #expect(isOpen(number))
        _ = loop.wait()
        let event = try unwrap(loop.next())
        #expect(isOpen(event.descriptor))
    }

    @Test func aFailedSyncSticksToTheDescriptorInEveryLoop() throws {
        let file = try open()
        for round in 0..<2 {
            let script = script()
            script.decide = { _, _ in round == 0 ? .errno(.ioError) : .whole }
            var loop = try makeLoop(script)
            _ = loop.submit(.sync(file, .data))
            _ = loop.wait()
            #expect(try unwrap(loop.next()).errno == .ioError)
        }
        #expect(file.syncError == .ioError)
        file.clearSyncError()
        var loop = try makeLoop(script())
        _ = loop.submit(.sync(file, .data))
        _ = loop.wait()
        #expect(try unwrap(loop.next()).errno == nil)
    }

    @Test func highNumbersCostLittleAndWork() throws {
        let script = script()
        var loop = try makeLoop(script)
        for number: Int32 in [0, 255, 256, 70_000, 1_000_000] {
            _ = loop.submit(
                .read(FileDescriptor(rawValue: number), into: IOBuffer(capacity: 8), at: 0))
            _ = loop.wait()
            #expect(try unwrap(loop.next()).errno == nil)
        }
    }
}
