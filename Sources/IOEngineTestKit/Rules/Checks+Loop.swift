internal import BasicContainers
internal import IOEngineCore
internal import IOEngineMock
internal import Synchronization
internal import SystemPackage

/// Calls counted and judged, from a loop's callbacks.
private struct Judge: IOCallback {
    let calls: Counter
    let rightCalls: Counter
    /// What a read must have found.
    let wanted: [UInt8]

    consuming func call(
        _ event: consuming IOEvent<Judge>, _ submitter: borrowing IOSubmitter<Judge>
    ) {
        _ = calls.next()
        if event.errno == nil, [UInt8](copying: event.buffer) == wanted {
            _ = rightCalls.next()
        }
    }
}

extension Checks where Driver: ~Copyable {
    private typealias Event = IOEvent<NoCallback>

    private func loop(depth: Int = 8) throws -> IOLoop<NoCallback, RecordingDriver<Driver>> {
        try IOLoop(
            depth: depth, driver: RecordingDriver(try makeDriver(depth), recorder: recorder))
    }

    /// Submits one event and waits for its end, a bounded number of times.
    private func finish(
        _ event: consuming Event, _ loop: inout IOLoop<NoCallback, RecordingDriver<Driver>>,
        _ rule: ContractRule
    ) throws -> Event {
        guard case .accepted = loop.submit(event) else {
            throw ContractEnd.broken(rule, "a loop over the driver took no event")
        }
        let deadline = loop.now.advanced(by: .seconds(5))
        for _ in 0..<100_000 {
            if let event = loop.next() { return event }
            switch loop.wait(deadline: deadline) {
            case .ready, .woken: break
            case .deadlinePassed: throw ContractEnd.broken(rule, "an event did not end within 5 s")
            case .failed(let errno):
                throw ContractEnd.broken(rule, "a wait failed with errno \(errno)")
            }
        }
        throw ContractEnd.broken(rule, "100,000 waits in a row gave nothing")
    }

    func loopErrors() throws {
        var loop = try loop()
        func expect(
            _ event: consuming Event, _ wanted: Errno?, _ what: String
        ) throws {
            let event = try finish(event, &loop, .loopErrors)
            let found = event.errno
            try demand(
                .loopErrors, found == wanted,
                "\(what) gave \(found.map { "\($0)" } ?? "no error"), "
                    + "not \(wanted.map { "\($0)" } ?? "success")")
        }
        func buffer() -> IOBuffer { IOBuffer(zeroed: 512) }
        let file = try files.open(pattern(5000), .readWrite)
        let none = FileDescriptor(rawValue: 999_999)
        try expect(.read(none, into: buffer(), at: 0), .badFileDescriptor, "no open descriptor")
        try expect(
            .read(FileDescriptor(rawValue: -1), into: buffer(), at: 0), .badFileDescriptor,
            "a negative descriptor")
        try expect(.read(file, into: buffer(), at: -1), .invalidArgument, "a negative offset")
        try expect(
            .read(file, into: IOBuffer(), at: 0), .invalidArgument, "a read of no bytes")
        try expect(.read(file, into: buffer(), at: 5000), nil, "a read at the end of the file")
        let readOnly = try files.open(pattern(100), .readOnly)
        try expect(
            .write(readOnly, from: buffer(), at: 0), .badFileDescriptor,
            "a write to a file that is open for reading only")
        let writeOnly = try files.open(pattern(100), .writeOnly)
        try expect(
            .read(writeOnly, into: buffer(), at: 0), .badFileDescriptor,
            "a read of a file that is open for writing only")
        if let directory = try files.openDirectory?() {
            try expect(.read(directory, into: buffer(), at: 0), .isDirectory, "a directory")
            let plain = FileDescriptor(rawValue: directory.rawValue)
            try expect(.read(plain, into: buffer(), at: 0), .isDirectory, "a directory's number")
        }
        if let pipe = try files.openPipe?() {
            try expect(.read(pipe, into: buffer(), at: 0), .illegalSeek, "a pipe")
        }
        var flagged = Event.write(file, from: buffer(), at: 0)
        flagged.flags = IOFlags(rawValue: 1 << 30)
        try expect(flagged, .notSupported, "a flag that does not exist")
        try misalignedDirect(&loop)
    }

    private func misalignedDirect(
        _ loop: inout IOLoop<NoCallback, RecordingDriver<Driver>>
    ) throws {
        // Some file systems have no direct IO, and some take any alignment.
        guard let file = try? files.open(pattern(8192), .direct), file.facts.isDirect,
            file.facts.offsetAlignment > 1
        else { return }
        let event = try finish(
            .read(file, into: IOBuffer(capacity: 512), at: 7), &loop, .loopErrors)
        guard case .failure(let error) = event.result else {
            throw ContractEnd.broken(.loopErrors, "a misaligned direct read succeeded")
        }
        try demand(
            .loopErrors, error.reason == .misaligned && error.errno == .invalidArgument,
            "a misaligned direct read gave \(error)")
    }

    func loopTransfers() throws {
        var contents = pattern(100_000)
        let file = try files.open(contents, .readWrite)
        var loop = try loop()
        var random = random()
        let most = loop.withDriver { $0.capabilities.maximumVectors }
        for round in 0..<40 * effort {
            let length = random.one(of: [1, 700, 4096, 40_000])
            let offset = random.below(contents.count - length)
            let isRead = round % 2 == 0
            let isVectored = random.happens(40)
            // More than one request can hold, if there are vectors at all.
            let pieces = isVectored ? min(length, random.one(of: [2, 5, min(most + 3, 40)])) : 1
            let bytes = random.bytes(length)
            var event: Event
            if isVectored {
                var buffers = UniqueArray<IOBuffer>()
                var start = 0
                for piece in 0..<pieces {
                    let end = (piece + 1) * length / pieces
                    buffers.append(
                        isRead
                            ? IOBuffer(capacity: end - start)
                            : IOBuffer(copying: Array(bytes[start..<end])))
                    start = end
                }
                event =
                    isRead
                    ? .read(file, into: buffers, at: Int64(offset))
                    : .write(file, from: buffers, at: Int64(offset))
            } else {
                event =
                    isRead
                    ? .read(file, into: IOBuffer(capacity: length), at: Int64(offset))
                    : .write(file, from: IOBuffer(copying: bytes), at: Int64(offset))
            }
            event = try finish(event, &loop, .loopTransfers)
            let moved = event.transferred
            try demand(
                .loopTransfers, event.errno == nil && moved == length,
                "an event of \(length) bytes in \(pieces) buffers moved \(moved)")
            if !isRead {
                contents.replaceSubrange(offset..<offset + length, with: bytes)
                continue
            }
            var found = [UInt8](copying: event.buffer)
            event.withBuffers { buffers in
                for i in 0..<buffers.count { found += [UInt8](copying: buffers[i]) }
            }
            try demand(
                .loopTransfers, found == Array(contents[offset..<offset + length]),
                "an event of \(length) bytes in \(pieces) buffers read other bytes than are there")
        }
        try demand(
            .loopTransfers, try files.contents(file) == contents,
            "events left other bytes in the file than were written")
    }

    func loopEnds() throws {
        let wanted = Array(pattern(4096)[0..<1000])
        let file = try files.open(pattern(4096), .readWrite)
        for isSubmitted in [false, true] {
            let calls = Counter()
            let rightCalls = Counter()
            do {
                var loop = try IOLoop<Judge, RecordingDriver<Driver>>(
                    depth: 8, driver: RecordingDriver(try makeDriver(8), recorder: recorder))
                for _ in 0..<8 {
                    _ = loop.submit(
                        .read(
                            file, into: IOBuffer(capacity: 1000), at: 0,
                            callback: Judge(calls: calls, rightCalls: rightCalls, wanted: wanted)))
                }
                if isSubmitted { _ = loop.wait(minimum: 0) }
            }
            try demand(
                .loopEnds, calls.value == 8,
                "a loop ended with 8 events in flight and called \(calls.value) callbacks")
            try demand(
                .loopEnds, rightCalls.value == 8,
                "of 8 reads in flight when their loop ended, \(rightCalls.value) were right")
        }
    }
}
