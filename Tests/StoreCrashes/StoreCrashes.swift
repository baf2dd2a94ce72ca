internal import IOEngineCore
public import IOEngineMock
public import IOEngineTestKit
public import KeyValueStore
internal import SystemPackage

/// What the store promised, and what it may have.
public struct Promises: Sendable {
    struct Broken: Error, CustomStringConvertible {
        let description: String
    }

    var acknowledged: [UInt32: UInt64] = [:]
    /// By key, what was asked for and neither acknowledged nor refused.
    var pending: [UInt32: [UInt64]] = [:]

    mutating func ask(_ changes: [(key: UInt32, value: UInt64)]) {
        for change in changes { pending[change.key, default: []].append(change.value) }
    }

    mutating func acknowledge(_ changes: [(key: UInt32, value: UInt64)]) {
        for change in changes { acknowledged[change.key] = change.value }
        pending = [:]
    }

    func check<Driver: IODriver & ~Copyable>(
        _ store: borrowing KeyValueStore<Driver>
    ) throws {
        for key in acknowledged.keys.sorted() {
            let found = store.value(of: key)
            let isAllowed =
                found == acknowledged[key]
                || found.map { pending[key]?.contains($0) ?? false } ?? false
            if isAllowed { continue }
            throw Broken(
                description: "key \(key) was set to \(acknowledged[key] ?? 0), "
                    + "and is \(found.map { "\($0)" } ?? "not there")")
        }
        for key in store.keys where acknowledged[key] == nil {
            let found = store.value(of: key)
            if found.map({ pending[key]?.contains($0) ?? false }) ?? false { continue }
            throw Broken(
                description: "key \(key) is \(found ?? 0), which nobody asked for")
        }
    }
}

/// The store of the examples, crashed.
public enum StoreCrashes {
    static func open(
        _ disk: SimulatedDisk, skipping skipped: SkippedSync?
    ) throws -> KeyValueStore<SimulatedDiskDriver> {
        try KeyValueStore.open(
            disk.makeDriver(depth: 8), depth: 8, log: try disk.open("log", options: .create),
            table: try disk.open("table", options: .create), skipping: skipped)
    }

    /// Explores the crashes of a few changes and checkpoints.
    public static func explore(
        seed: UInt64, operations: Int = 8, points: CrashExplorer.Points = .every, fates: Int = 4,
        skipping skipped: SkippedSync? = nil, only: CrashCase? = nil,
        _ change: (inout SimulatedDisk.Configuration) -> Void = { _ in }
    ) -> CrashReport {
        var configuration = SimulatedDisk.Configuration(seed: seed)
        change(&configuration)
        return CrashExplorer.run(
            seed: seed, operations: operations, points: points, fates: fates, disk: configuration,
            only: only, model: Promises()
        ) { disk, operations, model in
            var store = try open(disk, skipping: skipped)
            for operation in operations {
                var random = operation.random
                if random.isOne(in: 4) {
                    try store.checkpoint()
                    continue
                }
                var changes: [(key: UInt32, value: UInt64)] = []
                for _ in 0..<random.within(1...3) {
                    changes.append((UInt32(random.below(5)), random.next() >> 40))
                }
                model.ask(changes)
                try store.set(changes)
                model.acknowledge(changes)
            }
        } recover: { disk, model in
            // What is recovered is right, can be used, and is still right the next time.
            var store = try open(disk, skipping: skipped)
            try model.check(store)
            let changes = [(key: UInt32(77), value: UInt64(1))]
            model.ask(changes)
            try store.set(changes)
            model.acknowledged[77] = 1
            try model.check(try open(disk, skipping: skipped))
        }
    }
}
