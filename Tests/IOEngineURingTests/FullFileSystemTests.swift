import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// File systems that run full, and what a failed sync leaves behind.
@Suite(.enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
struct FullFileSystemTests {
    @Test("a full file system answers ENOSPC after what fitted, for writes and allocates")
    func noSpace() throws {
        let small = try #require(TestFileSystem.small(megabytes: 2, label: "small"))
        let file = try openNew(small.newPath())
        var loop = try PulledLoop.make()
        let tooMuch = try loop.perform(.allocate(file, at: 0, length: 64 << 20)).outcome
        #expect(tooMuch.errno == .noSpace)

        let write = try loop.perform(.write(file, from: IOBuffer(zeroed: 3 << 20), at: 0)).outcome
        #expect(write.errno == .noSpace)
        #expect(write.transferred == 2 << 20, "what fitted is counted")
        #expect(write.error?.transferred == 2 << 20)
        #expect(write.count == 3 << 20, "the buffer comes back whole")
        #expect(write.error?.advice.contains("full") == true)
        let again = try loop.perform(.write(file, from: IOBuffer(zeroed: 8192), at: 2 << 20))
            .outcome
        #expect(again.errno == .noSpace && again.transferred == 0)
        let read = try loop.perform(.read(file, into: IOBuffer(capacity: 4096), at: 0)).outcome
        #expect(read.bytes == 4096, "others are unharmed")
    }

    @Test("a failed sync is answered again until it is cleared, on this descriptor only")
    func stickySync() throws {
        // Writing back fails because the image's own file system is full.
        let fileSystem = try #require(TestFileSystem.overcommitted(label: "overcommitted"))
        let path = fileSystem.newPath()
        let file = try openNew(path)
        let plain = try FileDescriptor.open(FilePath(path), .readWrite)
        defer { try? plain.close() }
        var loop = try PulledLoop.make(depth: 64)
        for i in 0..<48 {
            _ = loop.submit(.write(file, from: IOBuffer(zeroed: 1 << 20), at: Int64(i) << 20))
        }
        while loop.inFlight > 0 { _ = try loop.waitForOne() }
        let first = try loop.perform(.sync(file)).outcome
        let errno = try #require(first.errno, "writing back must fail here")
        #expect([.ioError, .noSpace].contains(errno))
        #expect(file.syncError == errno)

        for extent in [IOSyncExtent.data, .full] {
            let again = try loop.perform(.sync(file, extent)).outcome
            #expect(again.errno == errno && again.reason == .stickySyncError)
            #expect(again.error?.advice.contains("clearSyncError") == true)
        }
        var elsewhere = try PulledLoop.make()
        let onOtherLoop = try elsewhere.perform(.sync(file)).outcome
        #expect(onOtherLoop.reason == .stickySyncError, "the descriptor carries it, not the loop")

        file.clearSyncError()
        let cleared = try loop.perform(.sync(file)).outcome
        #expect(cleared.reason != .stickySyncError, "the kernel is asked again")

        // A plain number keeps its own; this open file has not reported the failure yet.
        let onPlain = try loop.perform(.sync(plain)).outcome
        if let errno = onPlain.errno {
            let again = try loop.perform(.sync(plain)).outcome
            #expect(again.errno == errno && again.reason == .stickySyncError)
            loop.clearSyncError(plain)
            let cleared = try loop.perform(.sync(plain)).outcome
            #expect(cleared.reason != .stickySyncError)
        }
    }
}
