// Loops that await their IO, for the tests to run as an optimised build: one argument, a path for a file, and
// the number of a loop, or none for all. Ends with status 0 when every loop has read what it should.
import Glibc
import IOEngine
import IOEngineCore
import SystemPackage

typealias TestContext = IOContext<TaskCallback, SystemDriver>
typealias TestEvent = IOEvent<TaskCallback>

/// A file of 32 blocks of 4096 bytes; each byte is the number of its block.
struct TestFile: Sendable {
    let descriptor: IODescriptor
    let offsets = (0..<32).map { Int64($0) * 4096 }

    func read(at offset: Int64) -> TestEvent {
        .read(descriptor, into: IOBuffer(capacity: 4096), at: offset)
    }

    func checked(_ block: Int) -> Int64 {
        precondition(offsets.indices.contains(block))
        return offsets[block]
    }
}

extension IOEvent where Callback: ~Copyable {
    /// -1 at the end of the file.
    var firstByte: Int {
        get throws(IOError) { try get() == 0 ? -1 : Int(buffer[0]) }
    }
}

guard CommandLine.arguments.count > 1 else {
    print("usage: AwaitLoops PATH [NUMBER]")
    exit(2)
}
let path = FilePath(CommandLine.arguments[1])
let loops =
    CommandLine.arguments.count > 2
    ? [Loop.all[Int(CommandLine.arguments[2]) ?? 0]] : Loop.all
let context = try TestContext(depth: 4)
let file = TestFile(
    descriptor: try IODescriptor.open(path, .readWrite, options: [.create, .truncate]))
for block in 0..<32 {
    let bytes = [UInt8](repeating: UInt8(block), count: 4096)
    _ = try await context.perform(
        .write(file.descriptor, from: IOBuffer(copying: bytes), at: Int64(block) * 4096)
    ).get()
}
for loop in loops {
    // On the context's own thread, and on the threads of the global pool; one task, and eight at once.
    let onLoop = Task(executorPreference: context) { try await loop.run(context, file) }
    var sums = [try await onLoop.value, try await loop.run(context, file)]
    for isOnLoop in [true, false] {
        sums += try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask(executorPreference: isOnLoop ? context : nil) {
                    try await loop.run(context, file)
                }
            }
            var all: [Int] = []
            for try await sum in group { all.append(sum) }
            return all
        }
    }
    guard sums == Array(repeating: loop.sum, count: 18) else {
        print("\(loop.name): \(sums) instead of \(loop.sum)")
        exit(1)
    }
    print("\(loop.name): right")
}
context.shutdown()
print("\(loops.count) loops")
