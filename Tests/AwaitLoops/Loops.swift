import IOEngine
import IOEngineCore

/// A loop that awaits IO: reads the first bytes of blocks, each of which is the block's number, and adds
/// them up.
struct Loop: Sendable {
    let name: String
    /// What it adds up to.
    let sum: Int
    let run: @Sendable (TestContext, TestFile) async throws -> Int

    init(
        _ name: String, _ sum: Int,
        _ run: @escaping @Sendable (TestContext, TestFile) async throws -> Int
    ) {
        self.name = name
        self.sum = sum
        self.run = run
    }
}

struct Stopped: Error {}

/// Blocks 0 to 31.
private let whole = 31 * 32 / 2

extension Loop {
    /// The shapes that programs have. The first expression of most may trap: an addition, a multiplication, an
    /// index, a precondition, an optional.
    static let all = [
        Loop("for over a range, multiplied", whole) { context, file in
            var sum = 0
            for i in 0..<32 {
                sum += try await context.perform(file.read(at: Int64(i) * 4096)).firstByte
            }
            return sum
        },
        Loop("while with a counter", whole) { context, file in
            var sum = 0
            var i = 0
            while i < 32 {
                sum += try await context.perform(file.read(at: Int64(i * 4096))).firstByte
                i += 1
            }
            return sum
        },
        Loop("while true with a break", whole) { context, file in
            var sum = 0
            var block = 0
            while true {
                let byte = try await context.perform(file.read(at: Int64(block) * 4096)).firstByte
                if byte < 0 { break }
                sum += byte
                block += 1
            }
            return sum
        },
        Loop("while true with a return", whole) { context, file in
            var sum = 0
            var block = 0
            while true {
                let byte = try await context.perform(file.read(at: Int64(block * 4096))).firstByte
                if byte < 0 { return sum }
                sum += byte
                block += 1
            }
        },
        Loop("repeat", whole) { context, file in
            var sum = 0
            var i = 0
            repeat {
                sum += try await context.perform(file.read(at: Int64(i) * 4096)).firstByte
                i += 1
            } while i < 32
            return sum
        },
        Loop("for over an array", whole) { context, file in
            var sum = 0
            for offset in file.offsets {
                sum += try await context.perform(file.read(at: offset)).firstByte
            }
            return sum
        },
        Loop("an array by index", whole) { context, file in
            var sum = 0
            for i in file.offsets.indices {
                sum += try await context.perform(file.read(at: file.offsets[i])).firstByte
            }
            return sum
        },
        Loop("an array by index in a while", whole) { context, file in
            let blocks = file.offsets
            var sum = 0
            var i = 0
            while i < blocks.count {
                sum += try await context.perform(file.read(at: blocks[i])).firstByte
                i += 1
            }
            return sum
        },
        Loop("a dictionary, unwrapped", whole) { context, file in
            let places = Dictionary(uniqueKeysWithValues: zip(0..<32, file.offsets))
            var sum = 0
            for i in 0..<32 {
                sum += try await context.perform(file.read(at: places[i]!)).firstByte
            }
            return sum
        },
        Loop("a precondition first", whole) { context, file in
            var sum = 0
            for i in 0..<32 {
                precondition(i >= 0 && i < file.offsets.count)
                sum += try await context.perform(file.read(at: file.checked(i))).firstByte
            }
            return sum
        },
        Loop("nested loops", whole) { context, file in
            var sum = 0
            for row in 0..<4 {
                for column in 0..<8 {
                    sum += try await context.perform(
                        file.read(at: Int64(row * 8 + column) * 4096)
                    ).firstByte
                }
            }
            return sum
        },
        Loop("a labelled continue", whole) { context, file in
            var sum = 0
            rows: for row in 0..<8 {
                for column in 0..<8 {
                    if column == 4 { continue rows }
                    sum += try await context.perform(
                        file.read(at: Int64(row * 4 + column) * 4096)
                    ).firstByte
                }
            }
            return sum
        },
        Loop("stride backwards", whole) { context, file in
            var sum = 0
            for offset in stride(from: 31 * 4096, through: 0, by: -4096) {
                sum += try await context.perform(file.read(at: Int64(offset))).firstByte
            }
            return sum
        },
        Loop("for where", 2 * (15 * 16 / 2)) { context, file in
            var sum = 0
            for i in 0..<32 where i % 2 == 0 {
                sum += try await context.perform(file.read(at: Int64(i) * 4096)).firstByte
            }
            return sum
        },
        Loop("two reads in one turn", whole) { context, file in
            var sum = 0
            for i in 0..<16 {
                sum += try await context.perform(file.read(at: Int64(2 * i) * 4096)).firstByte
                sum += try await context.perform(file.read(at: Int64(2 * i + 1) * 4096)).firstByte
            }
            return sum
        },
        Loop("a chain of blocks", whole) { context, file in
            var sum = 0
            var next = 0
            while next < 32 {
                let byte = try await context.perform(file.read(at: Int64(next) * 4096)).firstByte
                sum += byte
                next = byte + 1
            }
            return sum
        },
        Loop("until a block throws", 10) { context, file in
            var sum = 0
            do {
                for i in 0..<32 {
                    let byte = try await context.perform(
                        file.read(at: Int64(i) * 4096)
                    ).firstByte
                    if byte == 5 { throw Stopped() }
                    sum += byte
                }
            } catch is Stopped {}
            return sum
        },
        Loop("with defer", whole) { context, file in
            try await readDeferring(context, file)
        },
        Loop("with a yield", whole) { context, file in
            var sum = 0
            for i in 0..<32 {
                sum += try await context.perform(file.read(at: Int64(i) * 4096)).firstByte
                await Task.yield()
            }
            return sum
        },
        Loop("a task for each block", whole) { context, file in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for i in 0..<32 {
                    group.addTask {
                        try await context.perform(file.read(at: Int64(i) * 4096)).firstByte
                    }
                }
                return try await group.reduce(0, +)
            }
        },
        Loop("a loop in each of four tasks", whole) { context, file in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for first in stride(from: 0, to: 32, by: 8) {
                    group.addTask {
                        var sum = 0
                        for i in first..<first + 8 {
                            sum += try await context.perform(
                                file.read(at: Int64(i) * 4096)
                            ).firstByte
                        }
                        return sum
                    }
                }
                var sum = 0
                for try await part in group { sum += part }
                return sum
            }
        },
        Loop("async let", whole) { context, file in
            var sum = 0
            for i in stride(from: 0, to: 32, by: 2) {
                async let one = context.perform(file.read(at: Int64(i) * 4096)).firstByte
                async let two = context.perform(file.read(at: Int64(i + 1) * 4096)).firstByte
                sum += try await one + two
            }
            return sum
        },
        Loop("an actor's loop", whole) { context, file in
            try await Reader().sum(context, file)
        },
        Loop("recursion", whole) { context, file in
            try await readAll(from: 0, context, file)
        },
    ]
}

private actor Reader {
    var sum = 0

    func sum(_ context: TestContext, _ file: TestFile) async throws -> Int {
        for i in 0..<32 {
            sum += try await context.perform(file.read(at: Int64(i) * 4096)).firstByte
        }
        return sum
    }
}

private func readDeferring(_ context: TestContext, _ file: TestFile) async throws -> Int {
    var sum = 0
    var i = 0
    while i < 32 {
        defer { i += 1 }
        sum += try await context.perform(file.read(at: Int64(i) * 4096)).firstByte
    }
    return sum
}

private func readAll(
    from block: Int, _ context: TestContext, _ file: TestFile
) async throws -> Int {
    let byte = try await context.perform(file.read(at: Int64(block * 4096))).firstByte
    return byte < 0 ? 0 : byte + (try await readAll(from: block + 1, context, file))
}
