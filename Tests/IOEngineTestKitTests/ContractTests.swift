import IOEngineAIO
import IOEngineCore
import IOEngineMerge
import IOEngineMock
import IOEngineTestKit
import IOEngineThreads
import IOEngineURing
import TestSupport
import Testing
import ToyDriver

/// The contract, on every driver and on every layer over each. A driver more is a line more.
@Suite struct ContractTests {
    @Test(arguments: Layer.allCases)
    func uring(_ layer: Layer) {
        guard (try? URingDriver(depth: 1)) != nil else {
            print("skipped: the contract on io_uring, which this machine does not grant")
            return
        }
        layer.check { try URingDriver(depth: $0) }
    }

    @Test(arguments: Layer.allCases)
    func aio(_ layer: Layer) {
        guard (try? AIODriver(depth: 1)) != nil else {
            print("skipped: the contract on Linux AIO, which this machine does not grant")
            return
        }
        layer.check { try AIODriver(depth: $0) }
    }

    @Test(arguments: Layer.allCases)
    func threads(_ layer: Layer) { layer.check { try ThreadPoolDriver(depth: $0) } }

    @Test(arguments: Layer.allCases)
    func toy(_ layer: Layer) { layer.check { ToyDriver(depth: $0) } }

    @Test(arguments: Layer.allCases)
    func mock(_ layer: Layer) {
        let device = MockDevice()
        layer.check(.mock(device)) { device.makeDriver(depth: $0) }
    }

    @Test(arguments: Layer.allCases, [1, 2] as [UInt64])
    func simulatedDisk(_ layer: Layer, seed: UInt64) {
        var configuration = SimulatedDisk.Configuration(seed: seed)
        configuration.earlyWakeUps = seed % 2 == 0 ? 20 : 0
        let disk = SimulatedDisk(configuration)
        layer.check(.simulated(disk), seed: seed) { disk.makeDriver(depth: $0) }
    }
}

/// What stands over a driver.
enum Layer: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case none, faulty, delaying, reordering, recording, merging, gathering, all

    var testDescription: String { rawValue }

    /// Checks the contract on a driver under this layer.
    func check<Driver: IODriver & ~Copyable>(
        _ files: ContractFiles = .temporary(), seed: UInt64 = 1,
        _ makeDriver: @escaping @Sendable (Int) throws -> Driver
    ) {
        let latency = SimulatedLatency.exponential(minimum: .zero, mean: .microseconds(30))
        let faults = FaultInjector(seed: seed)
        let recorder = TraceRecorder()
        let report: ContractReport
        switch self {
        case .none:
            report = DriverContract.check(files: files, seed: seed, makeDriver)
        case .faulty:
            report = DriverContract.check(files: files, seed: seed) {
                FaultyDriver(try makeDriver($0), faults: faults)
            }
        case .delaying:
            report = DriverContract.check(files: files, seed: seed) {
                DelayingDriver(try makeDriver($0), by: latency, seed: seed)
            }
        case .reordering:
            report = DriverContract.check(files: files, seed: seed) {
                ReorderingDriver(try makeDriver($0), seed: seed)
            }
        case .recording:
            report = DriverContract.check(files: files, seed: seed) {
                RecordingDriver(try makeDriver($0), recorder: recorder)
            }
        case .merging:
            report = DriverContract.check(files: files, seed: seed) {
                MergingDriver(try makeDriver($0))
            }
        case .gathering:
            // Waits for neighbours, bridges gaps, and copies whatever it joins.
            let policy = MergePolicy(
                maximumGap: 8192, wait: .microseconds(200), copiesPartsUpTo: 1 << 20)
            report = DriverContract.check(files: files, seed: seed) {
                MergingDriver(try makeDriver($0), policy: policy)
            }
        case .all:
            report = DriverContract.check(files: files, seed: seed) {
                RecordingDriver(
                    MergingDriver(
                        ReorderingDriver(
                            DelayingDriver(
                                FaultyDriver(try makeDriver($0), faults: faults), by: latency,
                                seed: seed), seed: seed)), recorder: recorder)
            }
        }
        report.forEachFailure { Issue.record("over \(rawValue): \($0)") }
        // What was not checked is told with its reason.
        print("\(report.description)\n")
        for skip in report.skips where !Self.expectedSkips.contains(skip.rule) {
            Issue.record("\(skip)")
        }
    }

    /// Rules that need what not every driver has.
    static let expectedSkips: Set<ContractRule> = [.syncs, .vectors, .allocating]
}
