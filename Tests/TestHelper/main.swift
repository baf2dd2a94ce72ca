// What has to happen in a process of its own: limits, signals, missing privileges. The tests start
// it with the name of a scenario; it prints what failed and ends with 1 then.
import Glibc

let scenarios: [String: ([String]) throws -> Void] = [
    "file-size-limit": fileSizeLimit,
    "appending-at-the-limit": appendingAtTheLimit,
    "signal-storm": signalStorm,
    "memory-lock-limit": memoryLockLimit,
    "no-descriptors": noDescriptors,
]

let arguments = CommandLine.arguments
guard arguments.count > 1, let scenario = scenarios[arguments[1]] else {
    print("usage: TestHelper \(scenarios.keys.sorted().joined(separator: "|")) …")
    exit(2)
}
do {
    try scenario(Array(arguments.dropFirst(2)))
} catch {
    print("\(arguments[1]): threw \(error)")
    exit(1)
}
exit(unsafe failures == 0 ? 0 : 1)
