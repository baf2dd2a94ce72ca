// What has to happen in a process of its own: limits, signals, missing privileges. The tests start
// it with the name of a scenario; it prints what failed and ends with 1 then.
import Glibc

let scenarios: [String: ([String]) throws -> Void] = [
    "file-size-limit": FileSizeLimit.uring,
    "aio-file-size-limit": FileSizeLimit.aio,
    "threads-file-size-limit": FileSizeLimit.threads,
    "appending-at-the-limit": AppendingAtTheLimit.uring,
    "aio-appending-at-the-limit": AppendingAtTheLimit.aio,
    "threads-appending-at-the-limit": AppendingAtTheLimit.threads,
    "changing-file-size-limit": ChangingFileSizeLimit.uring,
    "aio-changing-file-size-limit": ChangingFileSizeLimit.aio,
    "threads-changing-file-size-limit": ChangingFileSizeLimit.threads,
    "early-ends": EarlyEnds.uring,
    "aio-early-ends": EarlyEnds.aio,
    "threads-early-ends": EarlyEnds.threads,
    "signal-storm": SignalStorm.uring,
    "aio-signal-storm": SignalStorm.aio,
    "threads-signal-storm": SignalStorm.threads,
    "leftovers": Leftovers.uring,
    "aio-leftovers": Leftovers.aio,
    "threads-leftovers": Leftovers.threads,
    "no-threads": NoThreads.uring,
    "aio-no-threads": NoThreads.aio,
    "threads-no-threads": NoThreads.threads,
    "memory-lock-limit": memoryLockLimit,
    "no-descriptors": noDescriptors,
    "many-contexts": manyContexts,
    "forked-context": forkedContext,
    "forked-loop": forkedLoop,
    "forked-driver": forkedDriver,
    "forked-while-looking": forkedWhileLooking,
    "forked-inside": forkedInside,
    "forked-while-closing": forkedWhileClosing,
    "context-signal-storm": contextSignalStorm,
    "refusal": refusal,
    "old-filter": oldFilter,
    "refused-call": RefusedCall.run,
    "refused-statx": refusedStatx,
    "run-refused": runRefused,
    "run-limited": runLimited,
    "hold-aio": holdAIO,
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
