import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport
import Testing

struct OverlapOptions {
    /// Nothing goes wrong, so each event is one step.
    var isStrict = true
    var sectors = 64
    var operations = 500
}

/// Reads and writes of a few sectors, overlapping in flight, on a simulated disk. Each sector that is
/// written names its write.
struct OverlapMix<Driver: IODriver & ~Copyable>: ~Copyable {
    typealias Event = IOEvent<Mix<Driver>.Number>

    struct Operation {
        var sectors: Range<Int>
        var isWrite: Bool
        var start: Int
        var ticket: IOTicket
        var mayFail: Bool
    }

    private var loop: IOLoop<Mix<Driver>.Number, Driver>
    private let disk: SimulatedDisk
    private let file: IODescriptor
    private let options: OverlapOptions
    private var random: SeededRandom
    private let depth: Int
    private var inFlight: [Int: Operation] = [:]
    private var sectors: [SectorHistory]
    /// For a run in which nothing fails: which write each sector holds, in the order of the answers.
    private var serial: [Int]
    private var bad: Range<Int> = 0..<0
    private var time = 0
    private var answered = 0

    private static var sectorSize: Int { 512 }

    static func run(
        _ disk: SimulatedDisk, _ options: OverlapOptions, depth: Int, seed: UInt64,
        _ make: (consuming SimulatedDiskDriver) -> Driver
    ) throws {
        var mix = try OverlapMix(
            make(disk.makeDriver(depth: depth)), disk, options, depth: depth, seed: seed)
        try mix.run()
    }

    private init(
        _ driver: consuming Driver, _ disk: SimulatedDisk, _ options: OverlapOptions, depth: Int,
        seed: UInt64
    ) throws {
        self.disk = disk
        self.options = options
        self.depth = depth
        random = SeededRandom(seed: seed)
        sectors = Array(repeating: SectorHistory(), count: options.sectors)
        serial = Array(repeating: 0, count: options.sectors)
        disk.setContents(
            of: "file", to: [UInt8](repeating: 0, count: options.sectors * Self.sectorSize))
        let file = try disk.open("file", .readWrite, direct: true)
        loop = try IOLoop(depth: depth, driver: driver)
        self.file = file
        guard !options.isStrict else { return }
        for sectors in [1, 3] {
            disk.add(.moves(sectors * Self.sectorSize, IOFault.transfers, .oneIn(15)))
        }
        disk.add(.fails(.interrupted, IOFault.transfers, .oneIn(30)))
        let place = Int.random(in: 0..<options.sectors, using: &random)
        bad = place..<place + 1
        disk.damage(
            "file", Int64(place * Self.sectorSize)..<Int64((place + 1) * Self.sectorSize),
            untilRewritten: false)
    }

    private mutating func run() throws {
        var number = 0
        while number < options.operations {
            while loop.hasRoom, number < options.operations, !random.isOne(in: 2 * depth) {
                number += 1
                try submit(number)
            }
            if !options.isStrict, random.isOne(in: 8) { cancelOne() }
            try finish(minimum: Int.random(in: 0...min(6, loop.inFlight), using: &random))
        }
        while loop.inFlight > 0 { try finish(minimum: 1) }
        try #require(inFlight.isEmpty && answered == options.operations, "\(random.note)")
        let bytes = try #require(disk.contents(of: "file"))
        time += 1
        for sector in 0..<options.sectors where !bad.contains(sector) {
            let found = try name(in: bytes, sector)
            try check(sector, found, since: time, "the file in the end")
        }
    }

    private mutating func submit(_ number: Int) throws {
        let isWrite = Bool.random(using: &random)
        let count = Int.random(in: 1...8, using: &random)
        let first = Int.random(in: 0...options.sectors - count, using: &random)
        let range = first..<first + count
        let offset = Int64(first * Self.sectorSize)
        var event: Event
        if isWrite {
            // Eight bytes that name the write, all over.
            let words = [UInt64](repeating: UInt64(number), count: count * Self.sectorSize / 8)
            event = .write(
                file, from: unsafe IOBuffer(copying: words.span.bytes), at: offset)
        } else {
            event = .read(file, into: IOBuffer(capacity: count * Self.sectorSize), at: offset)
        }
        event.callback = Mix<Driver>.Number(value: number)
        guard case .accepted(let ticket) = loop.submit(event) else { throw Errno.noBufferSpace }
        time += 1
        inFlight[number] = Operation(
            sectors: range, isWrite: isWrite, start: time, ticket: ticket,
            mayFail: range.overlaps(bad))
        if isWrite { for sector in range { sectors[sector].begin(number, time) } }
    }

    private mutating func cancelOne() {
        let numbers = inFlight.keys.sorted()
        guard let number = numbers.randomElement(using: &random),
            let ticket = inFlight[number]?.ticket
        else { return }
        _ = loop.cancel(ticket)
        inFlight[number]?.mayFail = true
    }

    private mutating func finish(minimum: Int) throws {
        let outcome = loop.wait(minimum: minimum)
        try #require(outcome == .ready)
        while let event = loop.next() {
            let value = event.callback?.value
            let number = try #require(value)
            let known = inFlight.removeValue(forKey: number)
            let operation = try #require(known, "each comes back once; \(random.note)")
            answered += 1
            time += 1
            let isSuccess = event.errno == nil
            let place = "operation \(number) on \(operation.sectors); \(random.note)"
            try #require(isSuccess || operation.mayFail, "\(place)")
            let isWhole = event.transferred == operation.sectors.count * Self.sectorSize
            try #require(isWhole || !isSuccess, "\(place)")
            if operation.isWrite {
                for sector in operation.sectors {
                    sectors[sector].end(number, time, isSuccess: isSuccess)
                    serial[sector] = number
                }
            } else if isSuccess {
                let bytes = [UInt8](copying: event.buffer)
                for (index, sector) in operation.sectors.enumerated() {
                    let found = try name(in: bytes, index)
                    try check(sector, found, since: operation.start, place)
                }
            }
        }
        if random.isOne(in: 10) {
            let oldest = inFlight.values.map(\.start).min() ?? time
            for sector in 0..<options.sectors { sectors[sector].forget(before: oldest) }
        }
    }

    private func check(_ sector: Int, _ found: Int, since start: Int, _ place: String) throws {
        if options.isStrict {
            try #require(found == serial[sector], "sector \(sector): \(place)")
        }
        let isPossible = sectors[sector].mayHold(found, from: start)
        try #require(isPossible, "sector \(sector) holds \(found): \(place)")
    }

    /// The write that a sector names, all over.
    private func name(in bytes: [UInt8], _ sector: Int) throws -> Int {
        let start = sector * Self.sectorSize
        var number = 0
        for i in 0..<8 { number |= Int(bytes[start + i]) << (8 * i) }
        let isWhole = (0..<Self.sectorSize).allSatisfy {
            bytes[start + $0] == bytes[start + $0 % 8]
        }
        try #require(isWhole, "a sector is never torn; \(random.note)")
        return number
    }
}

/// The writes of one sector that it may still hold.
struct SectorHistory {
    private struct Write {
        var number: Int
        var start: Int
        var end = Int.max
        var isSuccess = false
    }
    /// Write 0 is what the sector held at first.
    private var writes = [Write(number: 0, start: 0, end: 0, isSuccess: true)]

    mutating func begin(_ number: Int, _ time: Int) {
        writes.append(Write(number: number, start: time))
    }

    mutating func end(_ number: Int, _ time: Int, isSuccess: Bool) {
        guard let index = writes.firstIndex(where: { $0.number == number }) else { return }
        writes[index].end = time
        writes[index].isSuccess = isSuccess
    }

    /// Whether a read that began at `start` may find it: no other write began after it had ended and
    /// succeeded before the read began.
    func mayHold(_ number: Int, from start: Int) -> Bool {
        guard let write = writes.first(where: { $0.number == number }) else { return false }
        return !writes.contains { $0.isSuccess && $0.start > write.end && $0.end < start }
    }

    /// Forgets what nobody can find who began at `time` or later.
    mutating func forget(before time: Int) {
        let all = writes
        writes.removeAll { write in
            all.contains { $0.isSuccess && $0.start > write.end && $0.end < time }
        }
    }
}
