import IOEngineCore
import IOEngineMock
import SystemPackage

/// Everything that a disk can do, in one run: all actions, faults, cancelling, a crash, its recovery.
enum MixedRun {
    typealias Event = IOEvent<NoCallback>

    static func digest(seed: UInt64) throws -> String {
        var random = SimulationRandom(seed: seed)
        var configuration = SimulatedDisk.Configuration(seed: seed)
        configuration.readLatency = .longTail(
            minimum: .microseconds(10), mean: .microseconds(40), oneIn: 50, factor: 30)
        configuration.isOrdered = seed % 4 == 0
        configuration.hasProtectedCache = seed % 3 == 0
        configuration.earlyWakeUps = seed % 2 == 0 ? 10 : 0
        configuration.capacity = 2 << 20
        let disk = SimulatedDisk(configuration)
        disk.add(.fails(.ioError, IOFault.transfers, .oneIn(40)))
        disk.add(.fails(.interrupted, IOFault.transfers, .oneIn(20)))
        disk.add(.moves(700, IOFault.transfers, .oneIn(20)))
        disk.add(.stuck(IOFault.reads, .oneIn(200)))
        disk.add(IOFault(IOFault.writes, .oneIn(100), effect: .neverDurable))
        disk.add(IOFault(IOFault.writes, .oneIn(100), effect: .misdirects(by: 4096)))
        disk.add(IOFault(IOFault.reads, .oneIn(50), effect: .flips(bits: 3)))
        disk.add(.fails(.ioError, IOFault.syncs, .oneIn(10)))
        let files = [
            try disk.open("buffered", options: .create),
            try disk.open("direct", options: .create, direct: true),
            try disk.open("appended", options: [.create, .append]),
        ]
        var sum: UInt64 = 0
        do {
            var loop = try IOLoop<NoCallback, SimulatedDiskDriver>(
                depth: 16, driver: disk.makeDriver(depth: 16))
            for _ in 0..<1500 {
                if loop.hasRoom { _ = loop.submit(makeEvent(files, &random)) }
                if random.happens(30) {
                    let deadline = loop.now.advanced(by: .microseconds(random.below(200)))
                    _ = loop.wait(minimum: random.below(4), deadline: deadline)
                }
                while let event = loop.next() { sum = mix(sum, event) }
            }
            disk.releaseStuck()
            disk.crash()
        }
        let crash = disk.crash()
        let fate = crash.drawFate(seed: seed)
        let recovered = crash.restart(fate)
        for name in recovered.names { sum = mix(sum, recovered.contents(of: name) ?? []) }
        return "\(disk.journalDigest) \(disk.journalCount) \(disk.now.nanoseconds) \(sum) "
            + "\(crash.writes.count) \(recovered.usedSpace)"
    }

    private static func makeEvent(
        _ files: [IODescriptor], _ random: inout SimulationRandom
    ) -> Event {
        let file = random.one(of: files)
        let offset = Int64(random.below(256) * 512)
        let length = random.within(1...32) * 512
        switch random.below(10) {
        case 0, 1, 2: return .read(file, into: IOBuffer(capacity: length), at: offset)
        case 3, 4, 5, 6:
            var event = Event.write(file, from: IOBuffer(copying: random.bytes(length)), at: offset)
            event.flags = random.one(of: [[], [], [], .dataSync, .append, .atomic])
            return event
        case 7: return .sync(file, random.happens(50) ? .data : .full)
        case 8:
            return .allocate(
                file, random.one(of: [.extend, .keepSize, .punchHole, .zeroRange]), at: offset,
                length: length)
        default: return .noOperation()
        }
    }

    private static func mix(_ sum: UInt64, _ event: borrowing Event) -> UInt64 {
        var sum = SimulationRandom.hash(sum, UInt64(event.action.rawValue))
        sum = SimulationRandom.hash(sum, UInt64(bitPattern: Int64(event.transferred)))
        sum = SimulationRandom.hash(sum, UInt64(event.errno?.rawValue ?? 0))
        guard event.action.isRead else { return sum }
        for place in stride(from: 0, to: event.buffer.count, by: 97) {
            sum = SimulationRandom.hash(sum, UInt64(event.buffer[place]))
        }
        return sum
    }

    private static func mix(_ sum: UInt64, _ bytes: [UInt8]) -> UInt64 {
        var sum = SimulationRandom.hash(sum, UInt64(bytes.count))
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return sum
    }
}
