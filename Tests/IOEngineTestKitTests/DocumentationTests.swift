import Foundation
import IOEngineCore
import IOEngineMock
import IOEngineTestKit
import IOEngineURing
import SystemPackage
import Testing
import ToyDriver

// The samples of DocsSource/Testing.md, word for word; a test compares the two.

func copy<Driver: IODriver & ~Copyable>(
    _ count: Int, from source: IODescriptor, to target: IODescriptor,
    over loop: inout IOLoop<NoCallback, Driver>
) throws {
    _ = loop.submit(.read(source, into: IOBuffer(capacity: count), at: 0))
    while loop.inFlight > 0 {
        _ = loop.wait()
        guard let read = loop.next() else { continue }
        _ = try read.get()
        _ = loop.submit(.write(target, from: IOBuffer(copying: read.buffer.bytes), at: 0))
        while loop.inFlight > 0 {
            _ = loop.wait()
            if let written = loop.next() { _ = try written.get() }
        }
    }
}

private struct Lost: Error {
    var byte: UInt8
}

/// Appends a byte and makes it safe.
private func append<Driver: IODriver & ~Copyable>(
    _ byte: UInt8, at offset: Int64, to file: IODescriptor,
    over loop: inout IOLoop<NoCallback, Driver>, syncs: Bool = true
) throws {
    _ = loop.submit(.write(file, from: IOBuffer(copying: [byte]), at: offset))
    try settle(&loop)
    guard syncs else { return }
    _ = loop.submit(.sync(file, .data))
    try settle(&loop)
}

private func settle<Driver: IODriver & ~Copyable>(
    _ loop: inout IOLoop<NoCallback, Driver>
) throws {
    while loop.inFlight > 0 {
        _ = loop.wait()
        while let event = loop.next() { _ = try event.get() }
    }
}

@Suite struct DocumentationTests {
    @Test func anExactSequence() throws {
        let device = MockDevice()
        let source = device.makeFile(Array("twelve bytes".utf8))
        let target = device.makeFile()
        device.answer(IOFault.reads, with: .moves(6), .fails(.interrupted), .completes)
        var loop = try IOLoop<NoCallback, MockDriver>(depth: 4, driver: device.makeDriver(depth: 4))
        try copy(12, from: source, to: target, over: &loop)
        #expect(device.contents(of: target) == Array("twelve bytes".utf8))
        #expect(device.journal.map(\.result) == [6, -4, 6, 12])
    }

    @Test func anObjectInCharge() throws {
        /// Answers the newest request first.
        final class Backwards: MockConductor {
            func submit(_ queue: MockQueue, minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
                queue.take()
                while !queue.inFlight.isEmpty { queue.finish(at: queue.inFlight.count - 1) }
                return .ready
            }
        }

        let conducted = MockDevice().makeDriver(depth: 4, conductor: Backwards())
        var loop = try IOLoop<NoCallback, MockDriver>(depth: 4, driver: conducted)
        for priority in 1...3 as ClosedRange<UInt16> {
            var event = IOEvent<NoCallback>.noOperation()
            event.priority = IOPriority(rawValue: priority)
            _ = loop.submit(event)
        }
        _ = loop.wait(minimum: 3)
        var order: [UInt16] = []
        while let event = loop.next() { order.append(event.priority.rawValue) }
        #expect(order == [3, 2, 1])
    }

    @Test func aDiskWithFaults() throws {
        let disk = SimulatedDisk(seed: 42)
        disk.setContents(of: "source", to: Array("twelve bytes".utf8))
        let source = try disk.open("source", .readOnly)
        let target = try disk.open("target", options: .create)
        disk.add(.moves(5, IOFault.transfers, .oneIn(2)))
        disk.add(.fails(.noSpace, IOFault.writes, .nth(100)))
        var loop = try IOLoop<NoCallback, SimulatedDiskDriver>(
            depth: 4, driver: disk.makeDriver(depth: 4))
        try copy(12, from: source, to: target, over: &loop)
        #expect(disk.contents(of: "target") == Array("twelve bytes".utf8))
    }

    @Test(.enabled(if: (try? URingDriver(depth: 1)) != nil, "io_uring is not to be had here"))
    func faultsOverTheKernel() throws {
        let faults = FaultInjector(seed: 7, [.fails(.interrupted, IOFault.reads, .oneIn(3))])
        let driver = ReorderingDriver(
            FaultyDriver(try URingDriver(depth: 4), faults: faults), seed: 7)
        var loop = try IOLoop<NoCallback, ReorderingDriver<FaultyDriver<URingDriver>>>(
            depth: 4, driver: driver)
        let file = try IODescriptor.open("/dev/zero", .readOnly)
        for _ in 0..<20 {
            _ = loop.submit(.read(file, into: IOBuffer(capacity: 8), at: 0))
            try settle(&loop)
        }
        #expect(loop.statistics.retries > 0)
    }

    @Test func crashes() throws {
        let report = CrashExplorer.run(seed: 1, operations: 3, model: [UInt8]()) {
            disk, operations, acknowledged in
            let file = try disk.open("log", options: .create)
            var loop = try IOLoop<NoCallback, SimulatedDiskDriver>(
                depth: 4, driver: disk.makeDriver(depth: 4))
            for operation in operations {
                let byte = UInt8(operation.number + 1)
                try append(byte, at: Int64(operation.number * 512), to: file, over: &loop)
                acknowledged.append(byte)
            }
        } recover: { disk, acknowledged in
            let found = disk.contents(of: "log") ?? []
            for byte in acknowledged where !found.contains(byte) { throw Lost(byte: byte) }
        }
        report.forEachFailure { Issue.record("\($0)") }
    }

    /// What the text says of it.
    @Test func aForgottenSyncIsShownWithTheAppendThatItTakes() throws {
        let report = CrashExplorer.run(seed: 1, operations: 3, model: [UInt8]()) {
            disk, operations, acknowledged in
            let file = try disk.open("log", options: .create)
            var loop = try IOLoop<NoCallback, SimulatedDiskDriver>(
                depth: 4, driver: disk.makeDriver(depth: 4))
            for operation in operations {
                let byte = UInt8(operation.number + 1)
                try append(
                    byte, at: Int64(operation.number * 512), to: file, over: &loop, syncs: false)
                acknowledged.append(byte)
            }
        } recover: { disk, acknowledged in
            let found = disk.contents(of: "log") ?? []
            for byte in acknowledged where !found.contains(byte) { throw Lost(byte: byte) }
        }
        let failure = try #require(report.failure)
        #expect(failure.smallest?.operations.count == 1 && failure.explanation.contains("LOST"))
        #expect(failure.description.contains("Again with"))
    }

    @Test func aDriverOfYourOwn() {
        let report = DriverContract.check { depth in ToyDriver(depth: depth) }
        report.forEachFailure { Issue.record("\($0)") }
    }

    @Test func filesOfYourOwn() {
        let disk = SimulatedDisk(seed: 1)
        let report = DriverContract.check(files: .simulated(disk)) { disk.makeDriver(depth: $0) }
        #expect(report.holds, "\(report)")
    }

    // MARK: The texts

    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test func theSamplesAreTheseTests() throws {
        let text = try String(
            contentsOf: Self.root.appendingPathComponent("DocsSource/Testing.md"), encoding: .utf8)
        let own = try String(contentsOfFile: #filePath, encoding: .utf8)
        let blocks = text.components(separatedBy: "```swift\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        #expect(blocks.count == 8)
        for block in blocks { #expect(trimmed(own).contains(trimmed(block)), "\(block)") }
    }

    @Test func theNumbersInTheTextAreRight() throws {
        let text = try String(
            contentsOf: Self.root.appendingPathComponent("DocsSource/Testing.md"), encoding: .utf8)
        #expect(text.contains("It checks \(ContractRule.allCases.count) rules"))
        #expect(Mistake.allCases.count == 45 && text.contains("forty-five"))
        let toy = try String(
            contentsOf: Self.root.appendingPathComponent(
                "DocsSource/Examples/ToyDriver/ToyDriver.swift"), encoding: .utf8)
        #expect(toy.split(separator: "\n", omittingEmptySubsequences: false).count < 100)
    }

    /// Without indentation.
    private func trimmed(_ text: String) -> String {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            .joined(separator: "\n")
    }
}
