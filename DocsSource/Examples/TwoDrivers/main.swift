// The same store on a simulated disk and on io_uring. `use` does not know which it is.
import IOEngineCore
import IOEngineMock
import IOEngineURing
import KeyValueStore
import SystemPackage

/// Fills a store, opens it a second time, and says what is in it.
func use<Driver: IODriver & ~Copyable>(
    log: IODescriptor, table: IODescriptor, _ makeDriver: () throws -> Driver
) throws -> String {
    do {
        var store = try KeyValueStore.open(makeDriver(), depth: 8, log: log, table: table)
        for round in 0..<20 as Range<UInt64> {
            try store.set([
                (key: UInt32(round % 7), value: round), (key: 100, value: round * round),
            ])
            if round % 8 == 0 { try store.checkpoint() }
        }
    }
    let store = try KeyValueStore.open(makeDriver(), depth: 8, log: log, table: table)
    return store.keys.map { "\($0)=\(store.value(of: $0) ?? 0)" }.joined(separator: " ")
}

let disk = SimulatedDisk(seed: 42)
let simulated = try use(
    log: try disk.open("log", options: .create), table: try disk.open("table", options: .create)
) { disk.makeDriver(depth: 8) }
print("simulated disk:", simulated)

let folder = FilePath(CommandLine.arguments.dropFirst().first ?? "/tmp")
let options: FileDescriptor.OpenOptions = [.create, .truncate]
let real = try use(
    log: try IODescriptor.open(folder.appending("two-drivers.log"), .readWrite, options: options),
    table: try IODescriptor.open(
        folder.appending("two-drivers.table"), .readWrite, options: options)
) { try URingDriver(depth: 8) }
print("io_uring:      ", real)
