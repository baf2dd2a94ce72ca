internal import IOEngineCore
internal import IOEngineMock

extension Checks where Driver: ~Copyable {
    func transfers() throws {
        var contents = pattern(40_000)
        let file = try files.open(contents, .readWrite)
        var rig = try rig()
        var random = random()
        for round in 0..<60 * effort {
            let length = random.one(of: [1, 2, 511, 512, 513, 4096, 5000, 16_384])
            let offset = random.below(contents.count - length)
            let memory = RigMemory(length, filled: UInt8(round & 0xff))
            let isRead = round % 2 == 0
            if !isRead { memory.put(random.bytes(length)) }
            let sent = memory.bytes
            let result = try rig.one(
                rig.request(isRead ? .read : .write, file.rawValue, memory, at: Int64(offset)))
            try demand(
                .transfers, result > 0 && result <= length,
                "a transfer of \(length) bytes at \(offset) was answered with \(result)")
            if isRead {
                try demand(
                    .transfers,
                    memory.bytes(0..<result) == Array(contents[offset..<offset + result]),
                    "a read of \(length) bytes at \(offset) gave other bytes than the file has")
            } else {
                contents.replaceSubrange(offset..<offset + result, with: sent[..<result])
                try demand(
                    .transfers, memory.bytes == sent, "a write changed the memory that it is from")
            }
            try demand(
                .memory, memory.isIntact, "a transfer of \(length) bytes touched what lies beside")
            memory.release()
        }
        try demand(
            .transfers, try files.contents(file) == contents,
            "the file has other bytes than were written")
    }

    func memory() throws {
        let file = try files.open(pattern(40_000), .readWrite)
        var rig = try rig()
        let memory = RigMemory(8 * 1024)
        let other = RigMemory(64 * 8)
        for round in 0..<10 * effort {
            for place in 0..<4 {
                try rig.stage(
                    rig.request(
                        .read, file.rawValue, memory, place: place * 2048, count: 1000,
                        at: Int64(place * 3000)))
            }
            memory.fill(0x33)
            try rig.finish()
            for place in 0..<4 {
                try demand(
                    .memory,
                    memory.bytes(place * 2048 + 1000..<(place + 1) * 2048)
                        .allSatisfy { $0 == 0x33 } && memory.isIntact,
                    "a read of 1000 bytes touched memory behind them")
            }
            // It is the user's again from now on.
            let mine = UInt8(round & 0x7f)
            memory.fill(mine)
            for _ in 0..<8 { try rig.stage(read(&rig, file, other)) }
            try rig.finish()
            _ = try rig.submit(minimum: 0, deadline: nil)
            try demand(
                .memory, memory.bytes.allSatisfy { $0 == mine },
                "a read changed its memory after its completion was reaped")
        }
        try writesAreDone(&rig, file)
        memory.release()
        other.release()
    }

    /// A write whose completion was reaped needs its memory no more.
    private func writesAreDone(_ rig: inout Rig<Driver>, _ file: IODescriptor) throws {
        let memory = RigMemory(2048, filled: 0x11)
        _ = try rig.one(rig.request(.write, file.rawValue, memory, at: 1000))
        memory.fill(0xee)
        let other = RigMemory(64 * 8)
        for _ in 0..<8 { try rig.stage(read(&rig, file, other)) }
        try rig.finish()
        try demand(
            .memory,
            try files.contents(file)[1000..<3048].allSatisfy { $0 == 0x11 },
            "a write read its memory after its completion was reaped")
        memory.release()
        other.release()
    }

    func visibility() throws {
        let file = try files.open([UInt8](repeating: 0, count: 8192), .readWrite)
        var rig = try rig()
        let source = RigMemory(8 * 512)
        let target = RigMemory(8 * 512)
        for round in 1...30 * effort {
            source.fill(UInt8(round % 255 + 1))
            // Only looked up: which part of the file a request is about.
            var writes: [IOToken: Int] = [:]
            var reads: [IOToken: Int] = [:]
            for place in 0..<8 {
                let write = rig.request(
                    .write, file.rawValue, source, place: place * 512, count: 512,
                    at: Int64(place * 1000))
                writes[write.token] = place
                try rig.stage(write)
            }
            // Each is read back as soon as it is completed, whatever else is in flight.
            while rig.inFlight > 0 {
                for completion in try rig.some() {
                    if let place = writes[completion.token] {
                        try demand(
                            .transfers, completion.result == 512,
                            "a write of 512 bytes was answered with \(completion.result)")
                        target.fillPart(place * 512, 512, 0)
                        let read = rig.request(
                            .read, file.rawValue, target, place: place * 512, count: 512,
                            at: Int64(place * 1000))
                        reads[read.token] = place
                        try rig.stage(read)
                    } else if let place = reads[completion.token] {
                        let found = target.bytes(place * 512..<place * 512 + 512)
                        try demand(
                            .visibility,
                            completion.result == 512
                                && found.allSatisfy { $0 == UInt8(round % 255 + 1) },
                            "a read of what had been written gave \(completion.result) bytes, "
                                + "not those that were written")
                    }
                }
            }
        }
        source.release()
        target.release()
    }

    func endOfFile() throws {
        let contents = pattern(5000)
        let file = try files.open(contents, .readWrite)
        let empty = try files.open([], .readWrite)
        var rig = try rig()
        let memory = RigMemory(4096)
        for (offset, wanted) in [
            (904, 4096), (905, 4095), (4096, 904), (4999, 1), (5000, 0), (5001, 0), (1 << 40, 0),
        ] {
            memory.fill(0)
            let result = try rig.one(rig.request(.read, file.rawValue, memory, at: Int64(offset)))
            try demand(
                .endOfFile, result == wanted,
                "a read of 4096 bytes at \(offset) of a file of 5000 was answered with \(result), "
                    + "not \(wanted)")
            try demand(
                .endOfFile,
                wanted == 0
                    || memory.bytes(0..<wanted) == Array(contents[offset..<offset + wanted]),
                "a read at the end of the file gave other bytes than the file has")
        }
        let result = try rig.one(rig.request(.read, empty.rawValue, memory))
        try demand(
            .endOfFile, result == 0, "a read of an empty file was answered with \(result)")
        memory.release()
    }

    func vectors() throws {
        var rig = try rig()
        let capabilities = rig.driver.capabilities
        let most = capabilities.maximumVectors
        guard most > 1, capabilities.actions.contains(.readVectored) else {
            throw ContractEnd.skipped("the driver takes no vectors")
        }
        var contents = pattern(40_000)
        let file = try files.open(contents, .readWrite)
        var random = random()
        let shapes: [[Int]] = [
            [1, 1], [1, 4096, 3], [100, 200, 300, 400, 500], [513],
            Array(repeating: 3, count: most),
        ]
        for lengths in shapes where lengths.count <= most {
            let length = lengths.reduce(0, +)
            for isRead in [true, false] {
                let memory = RigMemory(length + lengths.count, filled: 0x77)
                let offset = random.below(contents.count - length)
                var sent: [UInt8] = []
                if !isRead {
                    sent = random.bytes(length)
                    memory.scatter(sent, lengths)
                }
                let vectors = RigVectors(memory, lengths)
                let result = try rig.one(
                    rig.request(
                        isRead ? .readVectored : .writeVectored, file.rawValue, vectors,
                        length: length, at: Int64(offset)))
                let name = "a vectored \(isRead ? "read" : "write") of \(lengths.count) vectors"
                try demand(
                    .vectors, result == length,
                    "\(name), \(length) bytes, was answered with \(result)")
                let gathered = memory.gather(lengths)
                if isRead {
                    try demand(
                        .vectors, gathered.bytes == Array(contents[offset..<offset + length]),
                        "\(name) gave other bytes than the file has")
                } else {
                    contents.replaceSubrange(offset..<offset + length, with: sent)
                }
                try demand(
                    .memory, gathered.gapsAre(0x77) && memory.isIntact,
                    "\(name) touched memory between them")
                vectors.release()
            }
        }
        try demand(
            .vectors, try files.contents(file) == contents,
            "a vectored write left other bytes in the file than were sent")
    }
}

extension RigMemory {
    func fillPart(_ start: Int, _ count: Int, _ byte: UInt8) {
        put([UInt8](repeating: byte, count: count), at: start)
    }

    /// Puts bytes where vectors of these lengths lie.
    func scatter(_ source: [UInt8], _ lengths: [Int]) {
        var place = 0
        var taken = 0
        for length in lengths {
            put(Array(source[taken..<taken + length]), at: place)
            taken += length
            place += length + 1
        }
    }

    struct Gathered {
        var bytes: [UInt8] = []
        var gaps: [UInt8] = []
        func gapsAre(_ byte: UInt8) -> Bool { gaps.allSatisfy { $0 == byte } }
    }

    func gather(_ lengths: [Int]) -> Gathered {
        var gathered = Gathered()
        let all = bytes
        var place = 0
        for length in lengths {
            gathered.bytes += all[place..<place + length]
            gathered.gaps.append(all[place + length])
            place += length + 1
        }
        return gathered
    }
}
