import Foundation
import IOEngineCopy
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// What a copy has of its source: bytes, holes, permissions, times.
struct CopyTests {
    /// Around blocks of 16 KiB, pages and sectors.
    private static let sizes = [
        0, 1, 511, 512, 513, 4095, 4096, 4097, 8192, 16_383, 16_384, 16_385, 20_480, 65_535, 65_536,
        65_537, 150_001,
    ]

    @Test(
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available, [false, true])
    func everySizeOnEveryFileSystem(_ name: String, direct: Bool) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        var random = SeededRandom()
        for size in Self.sizes {
            var fixture = try CopyFixture(in: fileSystem.path)
            try Files.make(fixture.source, size: size, using: &random)
            fixture.plan.direct = direct
            let report = try Machine.hasURing ? fixture.runOnKernel() : fixture.run()
            let note: Comment = "\(size) bytes, \(random.note)"
            #expect(Files.areEqual(fixture.source, fixture.destination), note)
            #expect(report.bytes == size && report.bytesMoved == size, note)
            #expect(report.path == fixture.destination)
            #expect(try fixture.others == ["copy"], note)
        }
    }

    @Test(arguments: [1, 4095, 4096, 5000, 16 << 10, 1 << 20], [1, 3, 64])
    func anyBlockSizeAndDepth(_ blockSize: Int, _ depth: Int) throws {
        var random = SeededRandom()
        var fixture = try CopyFixture()
        try Files.make(fixture.source, size: 40_003, using: &random)
        fixture.plan.blockSize = blockSize
        fixture.plan.depth = depth
        try fixture.run()
        #expect(Files.areEqual(fixture.source, fixture.destination), "\(random.note)")
    }

    /// Runs of data in a file, in pages; the size in bytes.
    private static let layouts: [(data: [Range<Int>], size: Int)] = [
        ([], 0), ([], 10 << 20), ([], (10 << 20) + 77),
        ([0..<1], 10 << 20), ([300..<301], 10 << 20), ([2559..<2560], 10 << 20),
        ([5..<9, 10..<11, 64..<128, 130..<131], (1 << 20) + 1),
        (stride(from: 0, to: 512, by: 2).map { $0..<$0 + 1 }, 2 << 20),
        ([0..<100], 100 * 4096 - 11),
    ]

    @Test(
        .enabled(if: TestFileSystem.isRoot, "only root may mount file systems"),
        arguments: TestFileSystem.available, [false, true])
    func holesAreKept(_ name: String, direct: Bool) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        var random = SeededRandom()
        for (pages, size) in Self.layouts {
            var fixture = try CopyFixture(in: fileSystem.path)
            let runs = pages.map { $0.lowerBound * 4096..<min(size, $0.upperBound * 4096) }
            try Files.make(fixture.source, size: size, data: runs, using: &random)
            // Reserved space is no data, and file systems reserve more than was asked for.
            Command.run(["sync", fixture.source])
            fixture.plan.direct = direct
            let report = try Machine.hasURing ? fixture.runOnKernel() : fixture.run()
            let note: Comment = "\(pages) of \(size) bytes, \(random.note)"
            // Before anybody reads: what the page cache has of reserved space passes for data.
            let data = try Files.data(of: fixture.source)
            #expect(try Files.data(of: fixture.destination) == data, note)
            let bytes = data.reduce(0) { $0 + $1.clamped(to: 0..<Int64(size)).count }
            #expect(report.bytesMoved == bytes, note)
            let blocks = try Files.status(fixture.destination).st_blocks
            let most = try max(Files.status(fixture.source).st_blocks, bytes / 512 + 8)
            #expect(blocks <= most, note)
            #expect(Files.areEqual(fixture.source, fixture.destination), note)
        }
    }

    @Test(arguments: [0o600, 0o640, 0o755, 0o777, 0o444, 0o000, 0o6755, 0o1777] as [mode_t])
    func permissionsAreKeptButNotIdentities(_ mode: mode_t) throws {
        let fixture = try CopyFixture()
        try Files.write("text", to: fixture.source)
        unsafe chmod(fixture.source, mode)
        guard unsafe access(fixture.source, R_OK) == 0 else {
            print("skipped: mode \(String(mode, radix: 8)), which this user cannot read")
            return
        }
        try fixture.run()
        #expect(try Files.permissions(fixture.destination) == mode & 0o777)
    }

    @Test(arguments: [false, true])
    func timesAreKeptOnRequest(_ isWanted: Bool) throws {
        var fixture = try CopyFixture()
        try Files.write("text", to: fixture.source)
        let times = [
            timespec(tv_sec: 1_000_000, tv_nsec: 11), timespec(tv_sec: 2_000_000, tv_nsec: 22),
        ]
        #expect(unsafe utimensat(AT_FDCWD, fixture.source, times, 0) == 0)
        fixture.plan.keepsTimestamps = isWanted
        try fixture.run()
        let modified = try Files.status(fixture.destination).st_mtim
        #expect((modified.tv_sec == 2_000_000 && modified.tv_nsec == 22) == isWanted)
    }

    @Test(
        .enabled(if: TestFileSystem.isRoot, "only root may set up loop devices"),
        arguments: [false, true])
    func aBlockDeviceIsCopied(direct: Bool) throws {
        var random = SeededRandom()
        var fixture = try CopyFixture()
        let image = fixture.source
        try Files.make(image, size: 1_000_448, using: &random)
        let attached = Command.run(["losetup", "--find", "--show", image])
        guard attached.status == 0 else {
            print("skipped: no loop device: \(attached)")
            return
        }
        let device = attached.output.trimmingCharacters(in: .whitespacesAndNewlines)
        defer { Command.run(["losetup", "--detach", device]) }
        fixture.plan.source = device
        fixture.plan.direct = direct
        try fixture.run()
        #expect(Files.areEqual(image, fixture.destination), "\(random.note)")
        let mode = try Files.permissions(device)
        #expect(try Files.permissions(fixture.destination) == mode & 0o777)
    }

    @Test func progressComesSeldomAndOnlyRises() throws {
        var random = SeededRandom()
        var fixture = try CopyFixture()
        try Files.make(
            fixture.source, size: 1 << 20, data: [0..<1 << 19, 3 << 18..<1 << 20], using: &random)
        fixture.plan.depth = 1
        fixture.plan.blockSize = 4096
        var hooks = HookedDriver.Hooks()
        hooks.nanosecondsOfSubmit = 10_000_000
        var submits = 0
        hooks.onSubmit = { submits = $0 + 1 }
        var ticks: [CopyProgress] = []
        var lastTick = 0
        try fixture.run(hooks) { progress in
            #expect(submits - lastTick >= 25, "a quarter of a second")
            lastTick = submits
            #expect(progress.bytesDone >= ticks.last?.bytesDone ?? 0)
            ticks.append(progress)
        }
        // A read and a write for each of 192 blocks, 25 of them a tick.
        #expect(ticks.count == 384 / 25)
        #expect(ticks.allSatisfy { $0.bytesTotal == 3 << 18 && $0.phase == .copying })
        let last = try #require(ticks.last)
        #expect(last.bytesDone <= last.bytesTotal && last.bytesDone > 0)
        #expect((last.secondsLeft ?? .infinity) < 1)
    }
}
