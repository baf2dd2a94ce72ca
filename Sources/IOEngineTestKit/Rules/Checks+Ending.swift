internal import Glibc
internal import IOEngineCore
internal import IOEngineMock

extension Checks where Driver: ~Copyable {
    func cancelling() throws {
        let rule = ContractRule.cancelling
        var random = random()
        let contents = pattern(64 * 1024)
        let file = try files.open(contents, .readWrite)
        for round in 0..<30 * effort {
            var rig = try rig()
            let memory = RigMemory(8 * 4096)
            var answers: [UInt32: IOCancellation] = [:]
            var requests: [IORequest] = []
            for place in 0..<8 {
                let request = rig.request(
                    .read, file.rawValue, memory, place: place * 4096, count: 4096,
                    at: Int64(place * 8192))
                try rig.stage(request)
                requests.append(request)
            }
            // Some before they are submitted, some after.
            if round % 2 == 1 { _ = try rig.submit(minimum: random.below(3), deadline: soon(rig)) }
            for request in requests where random.happens(60) {
                answers[request.token.slot] = rig.driver.cancel(request.token)
                if random.happens(30) { rig.driver.cancel(request.token) }
            }
            let early = try rig.reap()
            var results = try rig.finish()
            for completion in early { results[completion.token.slot] = completion.result }
            for (place, request) in requests.enumerated() {
                let slot = request.token.slot
                let result = results[slot] ?? .min
                if answers[slot] == .cancelled {
                    try demand(
                        rule, result == -Int(ECANCELED),
                        "cancel said cancelled, and the request ended with \(result)")
                }
                if answers[slot] == nil || answers[slot] == .unknown {
                    try demand(
                        answers[slot] == nil ? .cancellingNothing : rule, result == 4096,
                        "a read ended with \(result), "
                            + (answers[slot] == nil
                                ? "though nobody cancelled it" : "and cancel did not know it"))
                }
                guard result >= 0 else {
                    try demand(
                        rule, result == -Int(ECANCELED) || result == -Int(EINTR),
                        "a cancelled read ended with \(result)")
                    continue
                }
                let wanted = contents[place * 8192..<place * 8192 + result]
                try demand(
                    .transfers, memory.bytes(place * 4096..<place * 4096 + result) == Array(wanted),
                    "a read that was to be cancelled succeeded with the wrong bytes")
            }
            memory.release()
        }
        try cancellingWrites()
    }

    private func soon(_ rig: borrowing Rig<Driver>) -> IOInstant {
        rig.driver.now().advanced(by: .milliseconds(1))
    }

    /// A write that was never begun leaves no trace.
    private func cancellingWrites() throws {
        let before = pattern(4096)
        let file = try files.open(before, .readWrite)
        var rig = try rig()
        let memory = RigMemory(512, filled: 0xee)
        let write = rig.request(.write, file.rawValue, memory, at: 512)
        try rig.stage(write)
        let answer = rig.driver.cancel(write.token)
        let result = try rig.finish()[write.token.slot] ?? .min
        let after = try files.contents(file)
        switch answer {
        case .cancelled:
            try demand(
                .cancelling, result == -Int(ECANCELED) && after == before,
                "cancel said cancelled, and the write was done all the same")
        case .requested, .tooLate, .unknown:
            try demand(
                .cancelling, result < 0 || after != before,
                "a write ended with \(result) and changed nothing")
        }
        memory.release()
    }

    func cancellingNothing() throws {
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig()
        let memory = RigMemory(64 * 8)
        for round in 0..<20 {
            // More than any room for them, of slots in use and not.
            for i in 0..<50 {
                let stale = IOToken(slot: UInt32(i % 8), generation: 0xdead_0000)
                try demand(
                    .cancellingNothing, rig.driver.cancel(stale) != .cancelled,
                    "cancel said that it cancelled a request which never was")
            }
            if round % 2 == 0 {
                try demand(
                    .cancellingNothing, try rig.reap().isEmpty,
                    "cancelling what is not in flight gave a completion")
            }
            for _ in 0..<8 { try rig.stage(read(&rig, file, memory)) }
            for slot in 0..<8 as Range<UInt32> {
                rig.driver.cancel(IOToken(slot: slot, generation: 0xdead_0000))
            }
            for (slot, result) in try rig.finish() {
                try demand(
                    .cancellingNothing, result == 16,
                    "cancelling another generation of slot \(slot) ended its read with \(result)")
            }
        }
        memory.release()
    }

    func dropping() throws {
        // Staged only, handed over, and while one is done and others may be under way.
        for minimum in [nil, 0, 1] {
            try droppingReads(minimum)
            try droppingWrites(minimum)
        }
    }

    private func droppingReads(_ minimum: Int?) throws {
        let file = try files.open(pattern(64 * 1024), .readWrite)
        let memory = RigMemory(8 * 4096)
        do {
            var rig = try rig()
            for place in 0..<8 {
                try rig.stage(
                    rig.request(
                        .read, file.rawValue, memory, place: place * 4096, count: 4096,
                        at: Int64(place * 8192)))
            }
            if let minimum { _ = try rig.submit(minimum: minimum, deadline: nil) }
        }
        memory.fill(0x5c)
        try useAnother(file)
        try demand(
            .dropping, memory.bytes.allSatisfy { $0 == 0x5c } && memory.isIntact,
            "a read went on after its driver was gone")
        memory.release()
    }

    private func droppingWrites(_ minimum: Int?) throws {
        let file = try files.open(pattern(64 * 1024), .readWrite)
        let memory = RigMemory(8 * 4096, filled: 0x11)
        do {
            var rig = try rig()
            for place in 0..<8 {
                try rig.stage(
                    rig.request(
                        .write, file.rawValue, memory, place: place * 4096, count: 4096,
                        at: Int64(place * 8192)))
            }
            if let minimum { _ = try rig.submit(minimum: minimum, deadline: nil) }
        }
        let before = try files.contents(file)
        memory.fill(0xee)
        try useAnother(file)
        try demand(
            .dropping, try files.contents(file) == before,
            "a write went on after its driver was gone")
        memory.release()
    }

    /// Gives what should have ended time to show that it has not.
    private func useAnother(_ file: IODescriptor) throws {
        var rig = try rig()
        let memory = RigMemory(64 * 8)
        for _ in 0..<4 {
            for _ in 0..<8 { try rig.stage(read(&rig, file, memory)) }
            try rig.finish()
        }
        memory.release()
        _ = IOWakeGate().wait(until: .monotonic().advanced(by: .milliseconds(3)))
    }
}
