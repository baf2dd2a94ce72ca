import IOEngineBench
import IOEngineCore
import IOEngineMock
import SystemPackage
import Testing
import ToyDriver

/// The workloads on a driver that is nothing but the contract.
struct ToyDriverTests {
    @Test(arguments: BenchPlan.Workload.allCases, [1, 0xdead_beef] as [UInt64])
    func everyWorkloadVerifies(_ workload: BenchPlan.Workload, seed: UInt64) throws {
        var plan = BenchPlan.small(workload, seed: seed)
        plan.verify = true
        plan.jobs = 2
        plan.fileState = workload.writes ? nil : .written
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.errors == 0, "seed \(seed): \(report.firstError ?? "")")
        #expect(report.operations > 0)
        #expect(report.driver == "toy")
        #expect(report.fileState == (workload.writes ? .unwritten : .written))
        // One call of pread or pwrite for each IO; those in flight at the end are not counted as
        // IOs.
        #expect(report.systemCallsPerThousandIOs >= 1000)
    }

    @Test(arguments: BenchPlan.Workload.allCases)
    func everyWorkloadMeasures(_ workload: BenchPlan.Workload) throws {
        let plan = BenchPlan.small(workload, seed: 3)
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.errors == 0, "\(report.firstError ?? "")")
        #expect(report.iops > 0)
        #expect(report.bytesPerSecond > 0)
        let latency = try #require(report.latencyNanoseconds)
        #expect(latency.p50 <= latency.p99 && latency.p99 <= latency.max)
    }

    @Test func aBlockLargerThanTheBatchWrapsAround() throws {
        // As large as the file: each sequence has a single place to go.
        var plan = BenchPlan.small(.read, seed: 4)
        plan.blockSize = plan.size
        plan.verify = true
        plan.fileState = .written
        plan.depth = 1
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.errors == 0, "\(report.firstError ?? "")")
    }

    @Test func missingRegistrationIsANote() throws {
        var plan = BenchPlan.small(.randread, seed: 5)
        plan.registered = true
        let report = try BenchRunner.run(plan) { ToyDriver(depth: $0) }
        #expect(report.errors == 0)
        #expect(report.notes.count == 2)
    }

    @Test func aDriverThatCannotBeMadeIsASentence() {
        var plan = BenchPlan.small(.randread, seed: 6)
        plan.jobs = 3
        #expect(throws: BenchError.self) {
            try BenchRunner.run(plan) { depth throws(IOError) -> ToyDriver in
                throw IOError(operation: .setUp, errno: .noFunction, advice: "there is none")
            }
        }
    }

    @Test func lostWritesAreNoticed() throws {
        var plan = BenchPlan.small(.randwrite, seed: 7)
        plan.verify = true
        let report = try BenchRunner.run(plan) { depth in
            FaultyDriver(
                ToyDriver(depth: depth),
                faults: FaultInjector(seed: 7, [.pretends(IOFault.writes)]))
        }
        #expect(report.errors > 0)
        #expect(report.firstError?.contains("verify") == true)
    }
}
