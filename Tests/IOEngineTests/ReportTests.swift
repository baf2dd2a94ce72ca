import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import IOEngine

/// What is found out without making a driver to keep.
@Suite struct ReportTests {
    private static let quiet = SystemDriverConfiguration(choice: .automatic, logger: nil)

    @Test("probing says what would be chosen, for each wish")
    func probing() throws {
        let report = try DriverReport.probing(configuration: Self.quiet)
        let driver = try SystemDriver(depth: 32, configuration: Self.quiet)
        #expect(report.chosen == driver.kind && report.reason == .automatic)
        #expect(report.attempts.map(\.driver) == driver.report.attempts.map(\.driver))
        for kind in DriverKind.allCases {
            let configuration = SystemDriverConfiguration(choice: .only(kind), logger: nil)
            let report = try DriverReport.probing(configuration: configuration)
            #expect(report.attempts.map(\.driver) == [kind])
            #expect(report.chosen == (report.attempts[0].isGranted ? kind : nil))
        }
    }

    @Test("every driver is probed, whichever is wanted, and the report chooses as a driver would")
    func each() throws {
        let attempts = DriverReport.probingEach(configuration: Self.quiet)
        #expect(attempts.map(\.driver) == DriverKind.allCases)
        let report = try SystemReport(depth: 32, configuration: Self.quiet)
        #expect(report.drivers.map(\.isGranted) == attempts.map(\.isGranted))
        #expect(report.choice?.chosen == attempts.first { $0.isGranted }?.driver)
        #expect(report.works && report.choiceError == nil && report.path == nil)
        #expect((report.uring != nil) == report.drivers[0].isGranted)
    }

    @Test("a setting that one driver refuses with EINVAL leaves the choice to the next")
    func fallsThrough() throws {
        var configuration = Self.quiet
        configuration.aio.contextSize = 0
        let driver = try SystemDriver(depth: 40_000, configuration: configuration)
        #expect(driver.kind == .threads)
        let refused = driver.report.attempts.dropLast()
        #expect(refused.map(\.driver) == [.uring, .aio])
        #expect(refused.allSatisfy { $0.error?.errno == .invalidArgument }, "\(driver.report)")
        let report = try SystemReport(depth: 40_000, configuration: configuration)
        #expect(
            report.choice?.chosen == .threads && report.findings.contains { $0.subject == "aio" })
        configuration.threads.threads = 0
        #expect(throws: IOError.self) {
            _ = try SystemDriver(depth: 40_000, configuration: configuration).kind
        }
        let none = try SystemReport(depth: 40_000, configuration: configuration)
        #expect(!none.works && none.choiceError?.errno == .invalidArgument)
        #expect(none.findings.first?.level == .problem)
    }

    @Test(
        "where fs.aio-max-nr leaves no room, the next driver serves and the sysctl is named",
        .enabled(if: AIOLimit.mayBeChanged, AIOLimit.whyNot))
    func exhausted() throws {
        _ = try AIOLimit.changed(to: 0, beyondUsed: false) {
            // A depth that io_uring does not have.
            let driver = try SystemDriver(depth: 40_000, configuration: Self.quiet)
            #expect(driver.kind == .threads && driver.report.isFallback)
            let attempt = try #require(driver.report.attempts.first { $0.driver == .aio })
            #expect(attempt.error?.errno == .resourceTemporarilyUnavailable)
            #expect(attempt.advice.contains("fs.aio-max-nr"))
        }
    }

    @Test("a trial finds what direct IO needs of the memory's address, as the kernel tells it")
    func trial() throws {
        let path = TemporaryFolder.newPath("trial")
        let file = try openNew(path)
        _ = try file.fileDescriptor.writeAll([UInt8](repeating: 1, count: 256 << 10))
        #expect(fsync(file.rawValue) == 0)
        let told = try PathReport(path).direct
        guard told.source == .kernel, told.isSupported == true else {
            print("skipped: here the kernel does not tell what direct IO needs")
            return
        }
        let direct = try IODescriptor.open(FilePath(path), .readOnly, direct: true)
        let found = DirectTrial(descriptor: direct.rawValue, size: 256 << 10).run()
        #expect(found?.offsetAlignment == told.readOffsetAlignment ?? told.offsetAlignment)
        #expect(found?.memoryAlignment == told.memoryAlignment)
    }

    @Test("a path is looked at once more for each driver")
    func path() throws {
        let folder = try PathReport(TemporaryFolder.path)
        #expect(folder.kind == .directory && folder.facts.kind == .regular)
        let error = #expect(throws: IOError.self) { try PathReport("/nowhere/at/all") }
        #expect(error?.errno == .noSuchFileOrDirectory)
        #expect(throws: IOError.self) { try SystemReport(path: "/nowhere/at/all") }
        guard TestFileSystem.available.contains("tmpfs"), let memory = TestFileSystem.tmpfs else {
            return
        }
        let report = try PathReport(memory.path)
        #expect(report.facts.isInMemory && report.fileSystem?.name == "tmpfs")
        #expect(report.advice(for: .uring) != nil)
        #expect(report.advice(for: .aio) == nil && report.advice(for: .threads) == nil)
        #expect(report.direct.source == .trial && report.direct.offsetAlignment == 1)
    }
}
