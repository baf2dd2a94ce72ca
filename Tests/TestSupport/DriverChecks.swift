internal import Glibc
public import IOEngineCore
internal import SystemPackage
internal import Testing

/// What every driver has to do, checked without a loop: room, results, waits.
public struct DriverChecks<Driver: IODriver & ~Copyable> {
    /// Makes a driver of a depth.
    let make: (Int) throws -> Driver

    public init(_ make: @escaping (Int) throws -> Driver) { self.make = make }

    /// Long after anything that is waited for: reaching it means that something was lost.
    func far(_ driver: borrowing Driver) -> IOInstant { driver.now().advanced(by: .seconds(20)) }

    func token(_ slot: Int) -> IOToken { IOToken(slot: UInt32(slot), generation: 1) }

    // MARK: Room and results

    /// `stage` answers full at the depth, and takes again what was reaped, not what is finished.
    public func room() throws {
        let file = try fileWith(pattern(4096))
        var driver = try make(4)
        let memory = RawMemory(4096)
        for slot in 0..<4 {
            try driver.mustStage(IORequest(.read, UInt32(slot), file.rawValue, memory))
        }
        let fifth = driver.stage(IORequest(.read, 3, file.rawValue, memory))
        #expect(fifth == .full)
        _ = try driver.waitUntil(4)
        let early = driver.stage(IORequest(.read, 3, file.rawValue, memory))
        #expect(early == .full, "what is finished has its place until it is reaped")
        let one = driver.finished(most: 1)
        try #require(one.count == 1)
        #expect(driver.stage(IORequest(.read, one[0].token.slot, file.rawValue, memory)) == .queued)
        let results = try driver.finish(4)
        #expect(results.values.allSatisfy { $0 == 4096 })
        #expect(driver.finished().isEmpty)
    }

    /// Every action answers as the system call does.
    public func actions() throws {
        let file = try fileWith([])
        var driver = try make(8)
        let memory = RawMemory(512, byte: 3)
        try driver.mustStage(.plain(.noOperation, 0))
        try driver.mustStage(.plain(.syncFull, 1, file.rawValue))
        try driver.mustStage(.plain(.syncData, 2, file.rawValue))
        try driver.mustStage(.plain(.allocate, 3, file.rawValue, offset: 8192, length: 8192))
        try driver.mustStage(IORequest(.write, 4, file.rawValue, memory, at: 100))
        try driver.mustStage(.plain(.syncFull, 5, 999_999))
        try driver.mustStage(.plain(.allocate, 6, 999_999, length: 1))
        var results = try driver.finish(7)
        #expect(
            results == [0: 0, 1: 0, 2: 0, 3: 0, 4: 512, 5: Int(-EBADF), 6: Int(-EBADF)])
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size == 16384)

        let found = RawMemory(1024, byte: 9)
        var vectors = [
            unsafe IOVector(base: found.bytes.baseAddress.unsafelyUnwrapped, count: 100),
            unsafe IOVector(base: found.bytes.baseAddress.unsafelyUnwrapped + 512, count: 412),
        ]
        try unsafe vectors.withUnsafeMutableBytes { bytes in
            let request = unsafe IORequest(
                token: token(0), action: .readVectored, descriptor: file.rawValue,
                address: bytes.baseAddress, vectorCount: 2, offset: 100, length: 512)
            try driver.mustStage(request)
            results = try driver.finish(1)
        }
        #expect(results == [0: 512])
        #expect(found[0] == 3 && found[99] == 3 && found[100] == 9 && found[511] == 9)
        #expect(found[512] == 3 && found[923] == 3 && found[924] == 9)
    }

    /// What is wrong with a request is its own result, and its neighbours are unharmed.
    public func badRequests() throws {
        let path = TemporaryFolder.newPath("bad")
        let file = try fileWith(pattern(8192), at: path)
        let writeOnly = try IODescriptor.open(FilePath(path), .writeOnly)
        let direct = try IODescriptor.open(FilePath(path), .readWrite, direct: true)
        let folder = try IODescriptor.open(FilePath(TemporaryFolder.path), .readOnly)
        let pipe = try Pipe()
        try pipe.write([1, 2, 3])
        var driver = try make(16)
        let memory = RawMemory(4096)
        let number = file.rawValue
        var unknownFlag = IORequest(.read, 6, number, memory)
        unknownFlag.flags = IOFlags(rawValue: 1 << 30)
        var unknownOnDirect = IORequest(.read, 7, direct.rawValue, memory)
        unknownOnDirect.flags = IOFlags(rawValue: 1 << 30)
        let bad: [(IORequest, Int32)] = [
            (IORequest(.read, 0, 999_999, memory), EBADF),
            (IORequest(.read, 1, writeOnly.rawValue, memory), EBADF),
            (IORequest(.read, 2, folder.rawValue, memory), EISDIR),
            (IORequest(.read, 3, pipe.readEnd.rawValue, memory), ESPIPE),
            (IORequest(.read, 4, direct.rawValue, memory, place: 1, count: 100, at: 7), EINVAL),
            (IORequest(.write, 5, direct.rawValue, memory, count: 100), EINVAL),
            (unknownFlag, EOPNOTSUPP),
            (unknownOnDirect, EOPNOTSUPP),
        ]
        for (request, errno) in bad {
            // Good, bad, good: as three requests of one batch.
            var request = request
            request.token.slot = 1
            try driver.mustStage(IORequest(.read, 0, number, memory))
            try driver.mustStage(request)
            try driver.mustStage(IORequest(.read, 2, direct.rawValue, memory))
            let results = try driver.finish(3)
            #expect(results == [0: 4096, 1: -Int(errno), 2: 4096], "\(request.action), \(errno)")
        }
        // All of them at once.
        for (slot, (request, _)) in bad.enumerated() {
            var request = request
            request.token.slot = UInt32(slot)
            try driver.mustStage(request)
        }
        let results = try driver.finish(bad.count)
        for (slot, (_, errno)) in bad.enumerated() { #expect(results[UInt32(slot)] == -Int(errno)) }
        #expect(pipe.bytesInside == 3)
    }

    /// More completions than the span holds stay for the next reap.
    public func smallReaps() throws {
        let file = try fileWith(pattern(4096))
        var driver = try make(32)
        let memory = RawMemory(4096)
        for slot in 0..<32 {
            try driver.mustStage(
                slot % 2 == 0
                    ? .plain(.noOperation, UInt32(slot))
                    : IORequest(.read, UInt32(slot), file.rawValue, memory))
        }
        _ = try driver.waitUntil(32)
        var slots: Set<UInt32> = []
        for _ in 0..<11 {
            for completion in driver.finished(most: 3) { slots.insert(completion.token.slot) }
        }
        #expect(slots.count == 32)
        #expect(driver.finished().isEmpty)
    }

    /// One request after the other that some thread of the driver's does: none is slept through.
    public func hopsOneByOne(rounds: Int) throws {
        let file = try fileWith([])
        var driver = try make(2)
        for round in 0..<rounds {
            var request = IORequest.plain(.syncData, UInt32(round % 2), file.rawValue)
            request.mayBlock = true
            try driver.mustStage(request)
            let results = try driver.finish(1)
            try #require(results == [UInt32(round % 2): 0])
        }
    }

    /// Rounds of everything at once, many times as many as any ring has places.
    public func manyRounds(depth: Int, rounds: Int) throws {
        let path = TemporaryFolder.newPath("rounds")
        let file = try fileWith(pattern(1 << 20), at: path)
        let direct = try IODescriptor.open(FilePath(path), .readWrite, direct: true)
        var driver = try make(depth)
        let memory = RawMemory(depth * 4096)
        var random = SeededRandom()
        for _ in 0..<rounds {
            var wanted: [UInt32: Int] = [:]
            for slot in 0..<Int.random(in: 1...depth, using: &random) {
                let isDirect = Bool.random(using: &random)
                let offset = Int64.random(in: 0..<256, using: &random) * 4096
                let descriptor = isDirect ? direct.rawValue : file.rawValue
                var request =
                    switch Int.random(in: 0..<8, using: &random) {
                    case 0: IORequest.plain(.noOperation, UInt32(slot))
                    case 1: IORequest.plain(.syncData, UInt32(slot), 999_999)
                    default:
                        IORequest(
                            .read, UInt32(slot), descriptor, memory, place: slot * 4096,
                            count: 4096, at: offset)
                    }
                request.traits = isDirect ? [.known, .direct] : .known
                switch request.action {
                case .read: wanted[UInt32(slot)] = 4096
                case .noOperation: wanted[UInt32(slot)] = 0
                default: wanted[UInt32(slot)] = Int(-EBADF)
                }
                try driver.mustStage(request)
            }
            let results = try driver.finish(wanted.count)
            try #require(results == wanted, "\(random.note)")
            try #require(driver.finished().isEmpty, "\(random.note)")
        }
    }
}

extension IODriver where Self: ~Copyable {
    /// Submits and waits until `count` completions can be reaped, without reaping them.
    mutating func waitUntil(_ count: Int) throws -> IOWaitOutcome {
        let deadline = now().advanced(by: .seconds(20))
        let outcome = submit(minimum: count, deadline: deadline)
        if outcome != .ready { throw Errno.timedOut }
        return outcome
    }
}
