import IOEngineAIO
import IOEngineCore
import IOEngineThreads
import IOEngineURing
import TestSupport
import Testing

/// Requests in flight together: what may come in any order, and what may not.
@Suite(.enabled(if: TestFileSystem.isRoot, "only root may mount file systems"))
struct OrderTests {
    private static let names = TestFileSystem.available
    private static let drivers = ["uring", "aio", "threads"]

    /// Runs `body` with a performer over the named driver.
    private func onDriver<Steps: Body>(
        _ driver: String, _ targets: Targets, depth: Int, _ body: Steps.Type
    ) throws {
        switch driver {
        case "uring":
            guard Parity.hasURing else { return }
            var performer = try Performer(try URingDriver(depth: depth), depth: depth, targets)
            try body.run(&performer)
        case "aio":
            let made = try AIOLimit.unchanged { try AIODriver(depth: depth) }
            var performer = try Performer(made, depth: depth, targets)
            try body.run(&performer)
        default:
            var performer = try Performer(try ThreadPoolDriver(depth: depth), depth: depth, targets)
            try body.run(&performer)
        }
    }

    /// A body for every driver.
    protocol Body {
        static func run<Driver: IODriver & ~Copyable>(_ performer: inout Performer<Driver>) throws
    }

    private enum Barrier: Body {
        static func run<Driver: IODriver & ~Copyable>(
            _ performer: inout Performer<Driver>
        ) throws {
            for round in 0..<20 {
                let first = performer.count
                var group: [Step] = []
                for i in 0..<8 {
                    let isDirect = i % 2 == 1
                    // Some go past the end of the file, which takes another way. Direct ones keep away
                    // from the others: writing back what a direct write went under fails with EIO.
                    let place = Int64(i + round * 3) * 8192 + (isDirect ? 8 << 20 : 0)
                    group.append(.write(isDirect ? .direct : .buffered, place, 8192))
                }
                // A sync covers its own descriptor only.
                group.append(.sync(.buffered, full: round % 2 == 0))
                group.append(.sync(.direct, full: round % 2 == 1))
                for i in 0..<8 { group.append(.write(.buffered, Int64(i) * 8192, 4096)) }
                performer.order.removeAll()
                let lines = try performer.perform([group])
                for line in lines where line.contains("errno") || line.contains("lost") {
                    Issue.record("\(line)")
                }
                let place = Dictionary(
                    uniqueKeysWithValues: performer.order.enumerated().map { ($1 - first, $0) })
                for i in 0..<8 {
                    let sync = i % 2 == 0 ? 8 : 9
                    let (write, barrier) = try (#require(place[i]), #require(place[sync]))
                    #expect(
                        write < barrier, "write \(i) came back after the sync of its descriptor")
                }
            }
        }
    }

    @Test(
        "a sync comes back behind every write that was accepted before it", arguments: names,
        drivers)
    func barrier(_ name: String, driver: String) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        let targets = try Targets(on: fileSystem, content: pattern(65536))
        try onDriver(driver, targets, depth: 32, Barrier.self)
    }

    private enum Overlap: Body {
        static func run<Driver: IODriver & ~Copyable>(
            _ performer: inout Performer<Driver>
        ) throws {
            // Whole writes of one place, through one kind of descriptor: some serial order of them.
            for target in Target.files {
                let first = performer.count
                let steps = Array(repeating: Step.write(target, 4096, 4096), count: 8)
                let lines = try performer.perform([steps])
                #expect(lines.allSatisfy { $0.contains("4096 bytes") })
                let found = Array(try performer.targets.content()[4096..<8192])
                let possible = (first..<first + 8).map { stepBytes($0, 4096) }
                #expect(possible.contains(found), "no serial order of eight writes leaves this")
            }
        }
    }

    @Test("writes of one place in flight together leave one of them", arguments: names, drivers)
    func overlap(_ name: String, driver: String) throws {
        let fileSystem = try #require(TestFileSystem.named(name))
        let targets = try Targets(on: fileSystem, content: pattern(65536))
        try onDriver(driver, targets, depth: 8, Overlap.self)
    }
}
