import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// The loop registers a descriptor object by itself while it is busy. Nobody must notice.
@Suite struct BusyDescriptorTests {
    /// Reads until `count` events are done, with `depth` in flight all the time, then lets all end.
    func keepBusy(
        _ loop: inout IOLoop<NoCallback, URingDriver>, _ file: IODescriptor, _ count: Int
    ) -> Int {
        var submitted = 0
        var failed = 0
        while submitted < loop.depth {
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 512), at: 0))
            submitted += 1
        }
        while loop.inFlight > 0 {
            _ = loop.wait()
            loop.forEachFinished { event in
                if event.errno != nil || event.transferred != 512 { failed += 1 }
                if submitted >= count { return .release }
                submitted += 1
                event.restart()
                return .submitAgain
            }
        }
        return failed
    }

    @Test("a busy file is closed for real when it is closed", arguments: [1, 4])
    func closing(_ depth: Int) throws {
        let path = TemporaryFolder.newPath("busy")
        let options: FileDescriptor.OpenOptions = [.create, .truncate]
        let file = try IODescriptor.open(FilePath(path), .readWrite, options: options)
        var loop = try IOLoop<NoCallback, URingDriver>(
            depth: depth, driver: try URingDriver(depth: depth))
        _ = loop.submit(.write(file, from: IOBuffer(zeroed: 512), at: 0))
        _ = loop.wait()
        #expect(loop.forEachFinished { _ in .release } == 1)
        // A lock belongs to the open file: it goes when the last reference to that goes, the ring's
        // own included.
        #expect(flock(file.rawValue, LOCK_EX | LOCK_NB) == 0)
        let other = try FileDescriptor.open(FilePath(path), .readOnly)
        #expect(keepBusy(&loop, file, 5000) == 0)
        #expect(flock(other.rawValue, LOCK_SH | LOCK_NB) != 0)
        #expect(try file.close())
        // At once on current kernels; those such as 6.1 keep a registered file up to a second
        // longer.
        #expect(eventually { flock(other.rawValue, LOCK_SH | LOCK_NB) == 0 })
        try other.close()
    }

    @Test("more busy files than places are served all the same")
    func manyFiles() throws {
        var configuration = URingConfiguration()
        configuration.registeredDescriptors = 2
        var loop = try IOLoop<NoCallback, URingDriver>(
            depth: 4, driver: try URingDriver(depth: 4, configuration: configuration))
        for _ in 0..<4 {
            let zero = try IODescriptor.open("/dev/zero", .readOnly)
            #expect(keepBusy(&loop, zero, 3000) == 0)
        }
    }

    @Test("submission polling does not enter the kernel for each submission")
    func pollingSparesCalls() throws {
        let file = try fileWith(pattern(4096))
        var configuration = URingConfiguration()
        configuration.submissionPolling = .init(idleMilliseconds: 2000)
        var driver = try URingDriver(depth: 64, configuration: configuration)
        let memory = RawMemory(512)
        let before = driver.counters.systemCalls
        for slot: UInt32 in 0..<50 {
            try driver.mustStage(IORequest(.read, slot, file.rawValue, memory, count: 512))
            _ = driver.submit(minimum: 0, deadline: nil)
        }
        let calls = driver.counters.systemCalls - before
        // The kernel's thread may have gone to sleep now and then on a loaded machine.
        #expect(calls < 25, "\(calls) system calls for 50 submissions")
        _ = try driver.finish(50)
    }

    @Test("asking twice for a cancellation leaves room for the others")
    func cancellingTwice() throws {
        let (output, input) = try FileDescriptor.pipe()
        var driver = try URingDriver(depth: 4)
        let memory = RawMemory(4)
        for slot: UInt32 in 0..<4 {
            try driver.mustStage(IORequest(.read, slot, output.rawValue, memory, count: 1))
        }
        _ = driver.submit(minimum: 0, deadline: nil)
        for _ in 0..<5 {
            for slot: UInt32 in [0, 1] { driver.cancel(IOToken(slot: slot, generation: 1)) }
        }
        for slot: UInt32 in [2, 3] { driver.cancel(IOToken(slot: slot, generation: 1)) }
        let results = try driver.finish(4)
        #expect(results.values.allSatisfy { $0 == Int(-ECANCELED) })
        try input.close()
        try output.close()
    }
}
