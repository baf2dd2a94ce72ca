import Glibc
import IOEngineCore
import IOEngineURing
import SystemPackage
import TestSupport
import Testing

/// A file system that does not answer keeps no other file waiting.
@Suite struct StuckFileSystemTests {
    /// More than the kernel allows workers on a small machine, in files of their own: writes to one
    /// file take one worker together.
    static let stuck = 24
    static let others = 16

    @Test("while writes to a frozen file system are stuck, other files' syncs and writes are done")
    func goesOn() throws {
        var files: [IODescriptor] = []
        let frozen = try FrozenFile(label: "uring-stuck") { path in
            for number in 0..<Self.stuck {
                files.append(
                    try fileWith(Array(repeating: 1, count: 4096), at: "\(path)-\(number)"))
                fsync(files[number].rawValue)
            }
        }
        guard let frozen else { return }
        var healthy: [IODescriptor] = []
        for _ in 0..<Self.others { healthy.append(try fileWith(pattern(4096))) }
        var driver = try URingDriver(depth: 64)
        let memory = RawMemory(4096, byte: 7)
        for (slot, file) in files.enumerated() {
            try driver.mustStage(IORequest(.write, UInt32(slot), file.rawValue, memory))
        }
        var signals = 2
        let isStuck = driver.waitsInVain(milliseconds: 20, forgiving: &signals)
        #expect(isStuck)
        // Syncs always take a worker.
        for (number, file) in healthy.enumerated() {
            try driver.mustStage(.plain(.syncData, UInt32(Self.stuck + number), file.rawValue))
        }
        var results = try driver.finish(Self.others)
        #expect(results.count == Self.others && results.values.allSatisfy { $0 == 0 })
        // Writes take one on ext4. The kernel lets some wait behind a stuck one whose file has the
        // same hash, a third of them here, so not all can be demanded. Less than two of sixteen
        // would be bad luck of one in a million.
        for (number, file) in healthy.enumerated() {
            try driver.mustStage(
                IORequest(.write, UInt32(Self.stuck + number), file.rawValue, memory))
        }
        results = try driver.finish(2)
        #expect(results.values.allSatisfy { $0 == 4096 })
        print("\(results.count) of \(Self.others) writes were done at once")
        frozen.thaw()
        results.merge(try driver.finish(Self.stuck + Self.others - results.count)) { first, _ in
            first
        }
        #expect(results.count == Self.stuck + Self.others)
        #expect(results.values.allSatisfy { $0 == 4096 })
    }
}
