import IOEngineCore
import IOEngineMock
import SystemPackage
import TestSupport

/// What the fault model allows of one file, written down anew from its text: by sector the versions that
/// a crash may leave. Fed with what a driver of the disk was asked and what it answered.
struct DurabilityOracle {
    struct Version {
        var id: UInt8
        /// Which completion it was; in flight: none.
        var completion: Int?
        var isForsaken = false
    }

    struct Write {
        var id: UInt8
        var sectors: Range<Int>
        var flags: IOFlags
    }

    struct Sync {
        /// Completions that had been seen when it was staged.
        var covered: Int
    }

    var base: [UInt8]
    var versions: [[Version]]
    var completions = 0
    var writes: [Write] = []
    let hasProtectedCache: Bool

    init(sectors: Int, hasProtectedCache: Bool) {
        base = Array(repeating: 0, count: sectors)
        versions = Array(repeating: [], count: sectors)
        self.hasProtectedCache = hasProtectedCache
    }

    mutating func completed(_ write: Write) {
        completions += 1
        let isSafe = hasProtectedCache || !write.flags.isDisjoint(with: [.dataSync, .sync])
        for sector in write.sectors {
            if isSafe {
                base[sector] = write.id
                versions[sector] = []
            } else {
                versions[sector].append(Version(id: write.id, completion: completions))
            }
        }
    }

    mutating func completed(_ sync: Sync) {
        for sector in versions.indices {
            guard
                let last = versions[sector].lastIndex(where: {
                    !$0.isForsaken && ($0.completion ?? .max) <= sync.covered
                })
            else { continue }
            base[sector] = versions[sector][last].id
            versions[sector].removeSubrange(...last)
        }
    }

    mutating func failed(_ sync: Sync) {
        for sector in versions.indices {
            for i in versions[sector].indices
            where (versions[sector][i].completion ?? .max) <= sync.covered {
                versions[sector][i].isForsaken = true
            }
        }
    }

    mutating func leaveInFlight(_ write: Write) {
        for sector in write.sectors {
            versions[sector].append(Version(id: write.id, completion: nil))
        }
    }

    func allowed(_ sector: Int) -> Set<UInt8> {
        Set(versions[sector].map(\.id) + [base[sector]])
    }

    /// What is wrong with what a crash left, by the byte that each sector is full of.
    func problem(_ found: [UInt8]) -> String? {
        for sector in found.indices where !allowed(sector).contains(found[sector]) {
            return
                "sector \(sector) holds \(found[sector]), allowed are \(allowed(sector).sorted())"
        }
        for write in writes where write.flags.contains(.atomic) {
            if let problem = torn(write, found) { return problem }
        }
        return nil
    }

    /// Of an atomic write that shows anywhere, each sector holds it or something that may be later.
    private func torn(_ write: Write, _ found: [UInt8]) -> String? {
        guard write.sectors.contains(where: { found[$0] == write.id }) else { return nil }
        for sector in write.sectors where found[sector] != write.id {
            let place = versions[sector].firstIndex { $0.id == write.id }
            let other = versions[sector].firstIndex { $0.id == found[sector] }
            guard let place else { continue }
            guard let other else { return "atomic write \(write.id) is torn in sector \(sector)" }
            let bothInFlight =
                versions[sector][place].completion == nil
                && versions[sector][other].completion == nil
            if other < place && !bothInFlight {
                return "atomic write \(write.id) is torn in sector \(sector)"
            }
        }
        return nil
    }
}

/// A random run of writes and syncs on a disk, watched by an oracle, and crashed.
struct DurabilityRun {
    static let sectors = 16
    let disk: SimulatedDisk
    var oracle: DurabilityOracle

    init(seed: UInt64, _ change: (inout SimulatedDisk.Configuration) -> Void) throws {
        var random = SimulationRandom(seed: seed)
        var configuration = SimulatedDisk.Configuration(seed: seed)
        change(&configuration)
        let sector = configuration.sectorSize
        disk = SimulatedDisk(configuration)
        oracle = DurabilityOracle(
            sectors: Self.sectors, hasProtectedCache: configuration.hasProtectedCache)
        disk.setContents(of: "f", to: [UInt8](repeating: 0, count: Self.sectors * sector))
        let file = try disk.open("f", direct: true)
        disk.add(.fails(.ioError, IOFault.syncs, .oneIn(4)))
        var driver = disk.makeDriver(depth: 8)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 250 * 16 * sector, alignment: 4096)
        defer { unsafe memory.deallocate() }
        var inFlight: [UInt32: (write: DurabilityOracle.Write?, sync: DurabilityOracle.Sync?)] = [:]
        var id: UInt8 = 0
        let steps = random.within(5...60)
        for _ in 0..<steps where id < 240 {
            if inFlight.count < 8,
                let slot = (0..<8 as Range<UInt32>).first(where: { inFlight[$0] == nil })
            {
                let token = IOToken(slot: slot, generation: 1)
                if random.happens(20) {
                    inFlight[slot] = (nil, .init(covered: oracle.completions))
                    _ = driver.stage(
                        unsafe IORequest(
                            token: token, action: .syncData, descriptor: file.rawValue))
                } else {
                    id += 1
                    var count = 1 << random.below(4)
                    var first = random.below(Self.sectors / count) * count
                    let flags: IOFlags =
                        random.happens(15) ? .dataSync : random.happens(25) ? .atomic : []
                    if flags != .atomic {
                        first = random.below(Self.sectors)
                        count = min(count, Self.sectors - first)
                    }
                    let write = DurabilityOracle.Write(
                        id: id, sectors: first..<first + count, flags: flags)
                    oracle.writes.append(write)
                    inFlight[slot] = (write, nil)
                    let place = unsafe memory + Int(id) * 16 * sector
                    unsafe _ = place.initializeMemory(
                        as: UInt8.self, repeating: id, count: count * sector)
                    _ = driver.stage(
                        unsafe IORequest(
                            token: token, action: .write, descriptor: file.rawValue, address: place,
                            offset: Int64(first * sector), length: count * sector, flags: flags))
                }
            }
            if random.happens(70) {
                _ = driver.submit(minimum: random.below(2), deadline: nil)
                for (token, result) in driver.reapedInOrder() {
                    guard let (write, sync) = inFlight.removeValue(forKey: token.slot) else {
                        continue
                    }
                    if let write { oracle.completed(write) }
                    if let sync { result == 0 ? oracle.completed(sync) : oracle.failed(sync) }
                }
            }
        }
        // What was staged and not submitted never reaches the disk.
        _ = driver.submit(minimum: 0, deadline: nil)
        for (token, result) in driver.reapedInOrder() {
            guard let (write, sync) = inFlight.removeValue(forKey: token.slot) else { continue }
            if let write { oracle.completed(write) }
            if let sync { result == 0 ? oracle.completed(sync) : oracle.failed(sync) }
        }
        for slot in inFlight.keys.sorted() {
            if let write = inFlight[slot]?.write { oracle.leaveInFlight(write) }
        }
        disk.crash()
    }

    /// The byte that each sector is full of, nil where one is mixed.
    static func found(_ disk: SimulatedDisk) -> [UInt8]? {
        guard let bytes = disk.contents(of: "f") else { return nil }
        let size = disk.configuration.sectorSize
        var found: [UInt8] = []
        for sector in 0..<Self.sectors {
            let first = bytes[sector * size]
            // A look at some of the bytes: all of them would take most of the tests' time.
            for place in [1, size / 2, size - 1] where bytes[sector * size + place] != first {
                return nil
            }
            found.append(first)
        }
        return found
    }
}

extension IODriver where Self: ~Copyable {
    /// What is finished now, in the order in which it is handed out.
    mutating func reapedInOrder() -> [(IOToken, Int)] {
        let memory = UnsafeMutableBufferPointer<IOCompletion>.allocate(capacity: 64)
        defer { unsafe memory.deallocate() }
        var span = unsafe OutputSpan(buffer: memory, initializedCount: 0)
        reap(into: &span)
        let count = unsafe span.finalize(for: memory)
        return (0..<count).map { unsafe (memory[$0].token, memory[$0].result) }
    }
}
