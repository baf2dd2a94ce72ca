import Glibc
import IOEngineCore
import IOEngineMock
import SystemPackage

// Runs simulations outside of the tests, so that builds can be compared:
//   digests      a number for each of several seeds; the same in every build and on every machine
//   speed N      how long N simulated reads and writes take, in milliseconds of CPU time
//   day          how long a day of a slow disk takes, the same
//   crashes N    crashes the store of the examples at N points

switch CommandLine.arguments.dropFirst().first {
case "digests":
    for seed in 1...8 as ClosedRange<UInt64> { print(seed, try MixedRun.digest(seed: seed)) }
case "speed":
    let count = CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 1_000_000
    print(try SpeedRun.milliseconds(operations: count))
case "day":
    print(try SpeedRun.millisecondsOfADay())
case "crashes":
    let wanted = CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 100_000
    exit(CrashRun.explore(wanted) ? 0 : 1)
default:
    print("usage: SimulationHelper digests | speed N | day | crashes N")
    exit(2)
}
