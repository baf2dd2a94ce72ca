import IOEngine
import SystemPackage
import TestSupport
import Testing

/// Which driver is chosen, and what the report says.
@Suite struct ChoiceTests {
    @Test("one that is asked for by name is the one", arguments: DriverKind.allCases)
    func named(_ kind: DriverKind) throws {
        let configuration = SystemDriverConfiguration(choice: .only(kind), logger: nil)
        guard let driver = try? SystemDriver(depth: 4, configuration: configuration) else {
            print("skipped: \(kind.rawValue) does not work here")
            return
        }
        #expect(driver.kind == kind)
        #expect(driver.capabilities.name == kind.rawValue)
        #expect(driver.report.reason == .configuration)
        #expect(driver.report.attempts.count == 1 && !driver.report.isFallback)
    }

    @Test(
        "a file of /proc that is open for reading only says so on a write",
        arguments: DriverKind.allCases)
    func wrongMode(_ kind: DriverKind) throws {
        let configuration = SystemDriverConfiguration(choice: .only(kind), logger: nil)
        guard let driver = try? SystemDriver(depth: 1, configuration: configuration) else {
            print("skipped: \(kind.rawValue) does not work here")
            return
        }
        let file = try IODescriptor.open("/proc/version", .readOnly)
        var loop = try IOLoop<NoCallback, SystemDriver>(depth: 1, driver: driver)
        let outcome = try loop.perform(.write(file, from: IOBuffer(copying: [1]), at: 0)).outcome
        #expect(outcome.errno == .badFileDescriptor)
        #expect(outcome.reason == .notOpenForWriting)
    }

    @Test("each driver reads what was written, through a loop", arguments: DriverKind.allCases)
    func works(_ kind: DriverKind) throws {
        let file = try IODescriptor.open(
            FilePath(TemporaryFolder.newPath("choice")), .readWrite, options: [.create])
        let configuration = SystemDriverConfiguration(choice: .only(kind), logger: nil)
        var loop = try IOLoop<NoCallback, SystemDriver>(
            depth: 4, driver: try SystemDriver(depth: 4, configuration: configuration))
        for event in [0, 1] {
            let accepted =
                event == 0
                ? loop.submit(.write(file, from: IOBuffer(copying: [1, 2, 3]), at: 0)).isAccepted
                : loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0)).isAccepted
            #expect(accepted)
            // A short read goes on until the end of the file, so one wait may not be enough.
            var moved = -1
            for _ in 0..<100 where moved < 0 {
                _ = loop.wait(minimum: 1)
                if let event = loop.next() { moved = event.transferred }
            }
            #expect(moved == 3)
        }
    }

    @Test("a depth that io_uring does not have goes to the next driver, and the report says so")
    func fallsBack() throws {
        let configuration = SystemDriverConfiguration(choice: .automatic, logger: nil)
        let driver = try SystemDriver(depth: 40_000, configuration: configuration)
        #expect(driver.kind != .uring && driver.report.isFallback)
        #expect(driver.report.attempts.first?.error?.errno == .invalidArgument)
        #expect(driver.report.description.contains("32768"))
        #expect(driver.capabilities.setUp == driver.report.description)
    }

    @Test("a depth out of range is refused by all")
    func outOfRange() {
        #expect(throws: IOError.self) {
            let driver = try SystemDriver(depth: 0, configuration: .init(logger: nil))
            _ = driver.kind
        }
    }
}
