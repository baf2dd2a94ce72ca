// A long run of everything at once on one driver, with its leftovers counted: a process of its own.
// SoakHelper uring|aio|threads OPERATIONS [ext4|xfs|tmpfs …]; IOENGINE_SEED repeats a run.
import Glibc
import IOEngineAIO
import IOEngineCore
import IOEngineThreads
import IOEngineURing
import TestSupport

let arguments = Array(CommandLine.arguments.dropFirst())
guard arguments.count >= 2, let operations = Int(arguments[1]),
    ["uring", "aio", "threads"].contains(arguments[0])
else {
    print("usage: SoakHelper uring|aio|threads OPERATIONS [FILE-SYSTEM …]")
    exit(2)
}
let driver = arguments[0]
let names = arguments.count > 2 ? Array(arguments[2...]) : TestFileSystem.available
var counts: [String: Int] = [:]
var problems: [String] = []
let fileSystems = names.compactMap { TestFileSystem.named($0) }
var random = SeededRandom()
let before = Possessions.now
var settled: Possessions?
let depths = [1, 2, 5, 16, 64]
// Operations of one driver's life.
let life = 1000

var done = 0
var round = 0
while done < operations, problems.isEmpty, !fileSystems.isEmpty {
    let file = try SoakFile(
        on: fileSystems[round % fileSystems.count], SeededRandom(seed: random.next()))
    for _ in 0..<5 where done < operations {
        let depth = depths[round % depths.count]
        let count = min(life, operations - done)
        switch driver {
        case "uring":
            try SoakRun.run(file, operations: count, depth: depth, try URingDriver(depth: depth))
        case "aio":
            // Now and then through a context that is smaller than the depth, and without the ring.
            let configuration = AIOConfiguration(
                contextSize: round % 4 == 3 ? 2 : nil, reapsInUserSpace: round % 5 != 4)
            try SoakRun.run(
                file, operations: count, depth: depth,
                try AIODriver(depth: depth, configuration: configuration))
        default:
            try SoakRun.run(
                file, operations: count, depth: depth, try ThreadPoolDriver(depth: depth))
        }
        file.checkWhole()
        done += count
        round += 1
    }
    for (what, count) in file.counts { counts[what, default: 0] += count }
    problems += file.problems
    unsafe unlink(file.path)
    if settled == nil, done >= operations / 4 { settled = Possessions.now }
}

print("\(driver), \(done) operations on \(names.joined(separator: ", ")), \(random.note)")
for (what, count) in counts.sorted(by: { $0.key < $1.key }) { print("  \(what): \(count)") }
problems += Possessions.left(since: before, settled)
if done >= 10_000 {
    var wanted = [
        "answered cancelled", "answered unknown", "cancelled", "timed out",
        "done in spite of a cancellation", "done in spite of a deadline",
        "stopped and changed nothing",
    ]
    // Only io_uring stops what has begun, if it can; the others say so at once.
    wanted +=
        driver == "uring" ? ["answered requested", "cancelled half-way"] : ["answered tooLate"]
    for what in wanted where counts[what, default: 0] == 0 { problems.append("never: \(what)") }
}
for problem in problems { print("failed: \(problem)") }
exit(problems.isEmpty && done == operations ? 0 : 1)
