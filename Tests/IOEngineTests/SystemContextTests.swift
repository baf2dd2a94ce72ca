import Glibc
import IOEngine
import Logging
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// A context over the driver that is chosen, and who hears of the choice.
@Suite struct SystemContextTests {
    @Test("a context over each driver does the same", arguments: DriverKind.allCases)
    func works(_ kind: DriverKind) throws {
        let configuration = SystemDriverConfiguration(choice: .only(kind), logger: nil)
        guard (try DriverReport.probing(configuration: configuration)).chosen == kind else {
            print("skipped: \(kind.rawValue) does not work here")
            return
        }
        let file = try IODescriptor.open(
            FilePath(TemporaryFolder.newPath("context")), .readWrite, options: [.create])
        let seen = Mutex<[String]>([])
        let context = try SystemContext<ClosureCallback>(depth: 8, driver: configuration)
        func note(_ what: String) -> ClosureCallback {
            ClosureCallback { event in
                let text = "\(what) \(event.transferred) \(event.errno.map { "\($0)" } ?? "")"
                seen.withLock { $0.append(text) }
            }
        }
        _ = context.submit(
            .write(file, from: IOBuffer(copying: [1, 2, 3]), at: 0, callback: note("write")))
        _ = context.submit(.sync(file, callback: note("sync")))
        try context.drain()
        _ = context.submit(.read(file, into: IOBuffer(capacity: 8), at: 0, callback: note("read")))
        context.shutdown()
        #expect(seen.withLock { $0 } == ["write 3 ", "sync 0 ", "read 3 "])
    }

    @Test("what the driver refuses, the context throws")
    func refused() {
        let configuration = SystemDriverConfiguration(choice: .only(.uring), logger: nil)
        let error = #expect(throws: IOError.self) {
            _ = try SystemContext<ClosureCallback>(depth: 40_000, driver: configuration)
        }
        #expect(error?.errno == .invalidArgument || !Self.isURingThere)
    }

    private static let isURingThere =
        (try? DriverReport.probing(
            configuration: .init(choice: .only(.uring), logger: nil)))?.chosen != nil

    @Test("each driver's report is handed over, on the thread that makes it")
    func onChoice() throws {
        let reports = Mutex<[(DriverReport, pthread_t)]>([])
        let configuration = SystemDriverConfiguration(
            choice: .only(.threads), logger: nil,
            onChoice: { report in reports.withLock { $0.append((report, pthread_self())) } })
        do {
            let first = try SystemContext<ClosureCallback>(depth: 2, driver: configuration)
            let second = try SystemDriver(depth: 2, configuration: configuration)
            #expect(second.kind == .threads)
            first.shutdown()
        }
        let seen = reports.withLock { $0 }
        #expect(seen.map(\.0.chosen) == [.threads, .threads])
        #expect(seen.map(\.0.reason) == [.configuration, .configuration])
        #expect(seen.count == 2 && pthread_equal(seen[0].1, seen[1].1) == 0)
        #expect(seen.count == 2 && pthread_equal(seen[1].1, pthread_self()) != 0)
    }

    @Test("a decision is logged once a process, a fallback louder, and nothing without a logger")
    func logging() throws {
        let lines = LogLines()
        let logger = Logger(label: "test") { _ in lines }
        // Both go by what no other test asks for with a logger.
        let plain = SystemDriverConfiguration(choice: .only(.threads), logger: logger)
        let fallback = SystemDriverConfiguration(
            choice: .automatic, aio: AIOConfiguration(contextSize: 0), logger: logger)
        for _ in 0..<3 {
            #expect(try SystemDriver(depth: 2, configuration: plain).kind == .threads)
            #expect(try SystemDriver(depth: 40_000, configuration: fallback).kind == .threads)
        }
        let seen = lines.all
        #expect(seen.map(\.level) == [.info, .notice], "\(seen)")
        #expect(seen.first?.text.contains("as the program says") == true, "\(seen)")
        #expect(seen.last?.text.contains("refused with errno 22") == true, "\(seen)")
        #expect(seen.last?.text.hasPrefix("driver threads, the best that works") == true)
    }
}

/// Keeps what is logged.
private final class LogLines: LogHandler, Sendable {
    private let lines = Mutex<[(level: Logger.Level, text: String)]>([])

    var all: [(level: Logger.Level, text: String)] { lines.withLock { $0 } }

    func log(event: LogEvent) {
        lines.withLock { $0.append((event.level, event.message.description)) }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
}
