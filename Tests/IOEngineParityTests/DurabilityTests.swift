import Glibc
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// The kernel tells of lost data once, to whoever looks first: a sync, or a write that is to be durable.
@Suite(
    .enabled(
        if: TestFileSystem.isRoot && Command.exists("mkfs.ext4"), "root and mkfs.ext4 are needed"))
struct DurabilityTests {
    /// How a write is made durable.
    enum Mode: String, CaseIterable, CustomTestStringConvertible {
        case dataSync, sync, openedDataSync, openedSync

        var testDescription: String { rawValue }

        var flags: IOFlags {
            switch self {
            case .dataSync: .dataSync
            case .sync: .sync
            case .openedDataSync, .openedSync: []
            }
        }

        var options: FileDescriptor.OpenOptions {
            switch self {
            case .dataSync, .sync: []
            case .openedDataSync: .init(rawValue: O_DSYNC)
            case .openedSync: .init(rawValue: O_SYNC)
            }
        }
    }

    /// Fills a file system whose device is full before it is, by writes that are to be durable.
    private struct Body: DriverBody {
        let mode: Mode
        let onContext: Bool
        let label: String

        func run<Driver: IODriver & ~Copyable>(
            _ make: @escaping @Sendable (Int) throws(IOError) -> Driver
        ) throws {
            let fileSystem = try #require(TestFileSystem.overcommitted(label: label))
            let path = FilePath(fileSystem.newPath())
            let file = try IODescriptor.open(
                path, .readWrite, options: mode.options.union(.create))
            let plain = try FileDescriptor.open(path, .readWrite, options: mode.options)
            defer { try? plain.close() }
            var runner = try Runner(onContext: onContext, make)
            var failure: Outcome?
            for block in 0..<48 where failure == nil {
                var write: IOEvent<ClosureCallback> = .write(
                    file, from: IOBuffer(zeroed: 1 << 20), at: Int64(block) << 20)
                write.flags = mode.flags
                let outcome = try runner.perform(write)
                if outcome.error != nil { failure = outcome }
            }
            let errno = try #require(failure?.errno, "a write must fail here")
            #expect(failure?.error?.advice.contains("clearSyncError") == true)
            for extent in [IOSyncExtent.data, .full] {
                let sync = try runner.perform(.sync(file, extent))
                #expect(
                    sync.errno == errno && sync.reason == .stickySyncError,
                    "a sync after data was lost: \(sync)")
            }
            #expect(file.syncError == errno)
            file.clearSyncError()
            let cleared = try runner.perform(.sync(file))
            #expect(cleared.reason != .stickySyncError, "the kernel is asked again")

            // A plain number keeps its own.
            var write: IOEvent<ClosureCallback> = .write(
                plain, from: IOBuffer(zeroed: 1 << 20), at: 64 << 20)
            write.flags = mode.flags
            let other = try #require(try runner.perform(write).errno, "a write must fail here")
            for extent in [IOSyncExtent.full, .data] {
                let sync = try runner.perform(.sync(plain, extent))
                #expect(sync.errno == other && sync.reason == .stickySyncError, "\(sync)")
            }
            runner.clearSyncError(plain)
            let clearedPlain = try runner.perform(.sync(plain))
            #expect(clearedPlain.reason != .stickySyncError)
        }
    }

    @Test("a new file in a removed one's inode is another file", arguments: ["ext4", "xfs"])
    func reusedInode(_ name: String) throws {
        guard TestFileSystem.available.contains(name) else { return }
        let fileSystem = try #require(TestFileSystem.named(name))
        let path = fileSystem.newPath("inode")
        var seen: Set<IODescriptorFacts> = []
        var inodes: Set<UInt64> = []
        for _ in 0..<50 {
            let file = try openNew(path)
            var facts = file.facts
            facts.size = 0
            #expect(seen.insert(facts).inserted, "inode \(facts.inode) is one file twice")
            inodes.insert(facts.inode)
            try file.close()
            unsafe unlink(path)
        }
        if inodes.count == 50 { print("skipped: \(name) used no inode twice this time") }
    }

    @Test(
        "after a durable write that failed every sync fails until that is cleared",
        arguments: DriverName.available, Mode.allCases)
    func durableWrite(_ driver: DriverName, mode: Mode) throws {
        for onContext in [false, true] {
            let label = "durable-\(driver)-\(mode)-\(onContext)"
            try driver.use(Body(mode: mode, onContext: onContext, label: label))
        }
    }
}
