import IOEngineCore
import IOEngineMerge
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

/// Overlapping reads and writes in flight together: any serial order of them is right, and nothing
/// else. Each write puts its own number into every word that it writes.
struct Overlaps<Driver: IODriver & ~Copyable>: ~Copyable {
    struct Number: IOCallback {
        let value: Int
        consuming func call(
            _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
        ) {}
    }

    struct Write {
        var stamp: UInt64
        var submitted: Int
        /// `.max` while it is in flight.
        var completed: Int
    }

    struct Operation {
        var sectors: Range<Int>
        var isRead: Bool
        var submitted: Int
    }

    static var sector: Int { 512 }
    static var sectors: Int { 64 }

    var loop: IOLoop<Number, Driver>
    var random: SeededRandom
    let file = FileDescriptor(rawValue: 3)
    /// Counts submissions and completions.
    var time = 0
    /// By sector, what it may hold.
    var writes: [[Write]]
    var inFlight: [Int: Operation] = [:]
    var next = 1

    init(_ driver: consuming Driver, depth: Int, seed: UInt64) throws {
        loop = try IOLoop(depth: depth, driver: driver)
        random = SeededRandom(seed: seed)
        writes = Array(
            repeating: [Write(stamp: 0, submitted: -2, completed: -1)], count: Self.sectors)
    }

    mutating func run(operations: Int) throws {
        var place = 0
        while next <= operations {
            while !loop.hasRoom { try finish() }
            if random.isOne(in: 5) { place = Int.random(in: 0..<Self.sectors - 8, using: &random) }
            let count = Int.random(in: 1...6, using: &random)
            if place + count > Self.sectors { place = 0 }
            try submit(place..<place + count)
            place += count
            if random.isOne(in: 8) { try finish() }
            if random.isOne(in: 200) {
                while loop.inFlight > 0 { try finish() }
            }
        }
        while loop.inFlight > 0 { try finish() }
        try #require(inFlight.isEmpty, "each comes back once; \(random.note)")
    }

    private mutating func submit(_ sectors: Range<Int>) throws {
        let isRead = Bool.random(using: &random)
        let offset = Int64(sectors.lowerBound * Self.sector)
        let number = next
        next += 1
        time += 1
        var event: IOEvent<Number>
        if isRead {
            event = .read(
                file, into: IOBuffer(capacity: sectors.count * Self.sector), at: offset)
        } else {
            var bytes: [UInt8] = []
            for _ in 0..<sectors.count * Self.sector / 8 {
                for i in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * i))) }
            }
            event = .write(file, from: IOBuffer(copying: bytes), at: offset)
            for sector in sectors {
                writes[sector].append(
                    Write(stamp: UInt64(number), submitted: time, completed: .max))
            }
        }
        event.callback = Number(value: number)
        let isAccepted = loop.submit(event).isAccepted
        try #require(isAccepted)
        inFlight[number] = Operation(sectors: sectors, isRead: isRead, submitted: time)
    }

    private mutating func finish() throws {
        let outcome = loop.wait(minimum: 1)
        try #require(outcome == .ready)
        while let event = loop.next() {
            time += 1
            let value = event.callback?.value
            let number = try #require(value)
            let known = inFlight.removeValue(forKey: number)
            let operation = try #require(known, "each comes back once; \(random.note)")
            let isWhole = event.errno == nil && event.transferred == event.length
            try #require(isWhole, "operation \(number); \(random.note)")
            if operation.isRead {
                for (i, sector) in operation.sectors.enumerated() {
                    let stamp = Self.stamp(event.buffer, i * Self.sector)
                    try #require(stamp != nil, "torn: sector \(sector); \(random.note)")
                    let isPossible = mayHold(sector, stamp ?? 0, since: operation.submitted)
                    try #require(
                        isPossible, "operation \(number), sector \(sector); \(random.note)")
                }
            } else {
                for sector in operation.sectors {
                    for i in writes[sector].indices
                    where writes[sector][i].stamp == UInt64(number) {
                        writes[sector][i].completed = time
                    }
                }
            }
            if inFlight.isEmpty { forget() }
        }
    }

    /// Whether a read that was submitted at `start` and ends now may find that.
    private func mayHold(_ sector: Int, _ stamp: UInt64, since start: Int) -> Bool {
        guard let write = writes[sector].first(where: { $0.stamp == stamp }) else { return false }
        return !writes[sector].contains {
            $0.submitted > write.completed && $0.completed < start
        }
    }

    /// The word that a sector is full of; nil: it is full of several.
    private static func stamp(_ buffer: borrowing IOBuffer, _ place: Int) -> UInt64? {
        unsafe buffer.bytes.withUnsafeBytes { bytes in
            let first = unsafe bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            for i in 0..<sector / 8
            where unsafe bytes.loadUnaligned(fromByteOffset: place + 8 * i, as: UInt64.self)
                != first
            {
                return nil
            }
            return first
        }
    }

    /// With nothing in flight, only what no later write certainly covered matters.
    private mutating func forget() {
        for sector in writes.indices {
            let all = writes[sector]
            writes[sector].removeAll { write in
                all.contains { $0.submitted > write.completed }
            }
        }
    }
}

@Suite struct OverlapTests {
    @Test func anySerialOrderIsRight() throws {
        var random = SeededRandom()
        for round in 0..<Amount.of(4) {
            let seed = random.next()
            let depth = [8, 32, 64].randomElement(using: &random)!
            let size = 64 * 512
            let memories = Memories(
                [UInt8](repeating: 0, count: size), depth: depth, seed: seed)
            memories.maximumVectors = [0, 1024].randomElement(using: &random)!
            memories.unit = 512
            memories.short = round % 2 == 0 ? 20 : 0
            memories.again = round % 2 == 0 ? 5 : 0
            // On a driver that does everything in order too.
            memories.longest = round % 3 == 0 ? 0 : 10_000
            let policy = OracleTests.policy(&random)
            var overlaps = try Overlaps(
                MergingDriver(memories.makeDriver(), policy: policy), depth: depth, seed: seed)
            try overlaps.run(operations: 1000)
            #expect(memories.violations.isEmpty, "\(memories.violations), \(random.note)")
        }
    }
}
