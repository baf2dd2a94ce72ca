internal import IOEngineCore
internal import IOEngineMock

extension Checks where Driver: ~Copyable {
    func capabilities() throws {
        let rule = ContractRule.capabilities
        var rig = try rig(depth: 4)
        let first = rig.driver.capabilities
        try demand(rule, !first.name.isEmpty, "the driver has no name")
        try demand(
            rule, first.depth >= 4, "made for a depth of 4, it says \(first.depth)")
        try demand(
            rule, first.maximumVectors >= 0 && first.maximumVectors <= IOVector.maximumCount,
            "\(first.maximumVectors) vectors of one request are out of range")
        try demand(rule, !first.actions.isEmpty, "it says that it does nothing at all")
        let file = try files.open(pattern(4096), .readWrite)
        let memory = RigMemory(4096)
        var before = rig.driver.counters
        // Everything that it says it does, but for vectors, which have a rule of their own.
        for action in IOAction.allCases where first.actions.contains(action) && !action.isVectored {
            var request =
                switch action {
                case .allocate: rig.request(allocate: .keepSize, file.rawValue, 0..<4096)
                case .noOperation: rig.request(.noOperation)
                default: rig.request(action, file.rawValue, action.isTransfer ? memory : nil)
                }
            if !action.isTransfer, action != .allocate { request.length = 0 }
            let result = try rig.one(request)
            try demand(
                rule, result == request.length || (result == 0 && !action.isTransfer),
                "it says that it does \(action), and answered one with \(result)")
            let counters = rig.driver.counters
            try demand(
                rule,
                counters.systemCalls >= before.systemCalls
                    && counters.overflows >= before.overflows, "its counters went back")
            before = counters
        }
        let second = rig.driver.capabilities
        try demand(
            rule,
            first.name == second.name && first.depth == second.depth
                && first.maximumVectors == second.maximumVectors && first.actions == second.actions,
            "asked twice, it said different things")
        memory.release()
    }

    /// Many requests over and over, so that each slot and each ring of the driver's is used often.
    func exactlyOnce() throws {
        let file = try files.open(pattern(4096), .readWrite)
        var random = random()
        for depth in [1, 2, 8] {
            var rig = try rig(depth: depth)
            let memory = RigMemory(64 * depth)
            for _ in 0..<60 * effort {
                for _ in 0..<random.within(1...depth) where rig.inFlight < depth {
                    try rig.stage(read(&rig, file, memory))
                }
                switch random.below(4) {
                case 0: try rig.finish()
                case 1:
                    _ = try rig.submit(minimum: 0, deadline: nil)
                    _ = try rig.reap()
                default: _ = try rig.some()
                }
            }
            try rig.finish()
            memory.release()
        }
    }

    /// A read of 16 bytes into the part of a memory that belongs to its slot.
    func read(
        _ rig: inout Rig<Driver>, _ file: IODescriptor, _ memory: RigMemory
    ) -> IORequest {
        var request = rig.request(.read, file.rawValue, memory, count: 16)
        let slot = Int(request.token.slot)
        unsafe request.address = memory.base + 64 * slot
        request.offset = Int64(slot * 16)
        return request
    }

    func tokens() throws {
        let file = try files.open(pattern(4096), .readWrite)
        let memory = RigMemory(64 * 8)
        // The generation is any number, and wraps.
        for first: UInt32 in [0, .max - 20, 1 << 31, 0xffff] {
            var rig = try rig(firstGeneration: first)
            for _ in 0..<8 {
                for _ in 0..<8 { try rig.stage(read(&rig, file, memory)) }
                try rig.finish()
            }
        }
        memory.release()
    }

    func depth() throws {
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig(depth: 4)
        // More would take long; a driver may well be made for more than it was asked for.
        let stated = rig.driver.capabilities.depth
        let depth = min(stated, 2048)
        let memory = RigMemory(64 * (depth + 1))
        func fill() throws {
            while rig.inFlight < depth { try rig.stage(read(&rig, file, memory)) }
            guard depth == stated else { return }
            let more = IORequest.read(slot: UInt32(depth), file.rawValue, memory)
            try demand(
                .depth, rig.tryStage(more) == .full,
                "with a depth of \(stated), \(depth + 1) requests were queued")
        }
        for _ in 0..<3 {
            try fill()
            // What is finished has its place until it is reaped.
            _ = try rig.submit(minimum: depth, deadline: rig.driver.now().advanced(by: .seconds(5)))
            try fill()
            _ = try rig.some()
            try fill()
            try rig.finish()
        }
        memory.release()
    }

    func full() throws {
        let before = pattern(4096)
        let file = try files.open(before, .readWrite)
        var rig = try rig(depth: 2)
        let depth = rig.driver.capabilities.depth
        guard depth <= 2048 else {
            throw ContractEnd.skipped("a depth of \(depth) is never reached")
        }
        let memory = RigMemory(64 * (depth + 1), filled: 0xee)
        let reads = RigMemory(64 * (depth + 1))
        while rig.inFlight < depth { try rig.stage(read(&rig, file, reads)) }
        var write = IORequest.read(slot: UInt32(depth), file.rawValue, memory)
        write.action = .write
        guard rig.tryStage(write) == .full else {
            throw ContractEnd.broken(
                .depth, "with a depth of \(depth), \(depth + 1) requests were queued")
        }
        try rig.finish()
        for _ in 0..<10 { _ = try rig.one(read(&rig, file, reads)) }
        try demand(
            .full, try files.contents(file) == before,
            "a write that stage answered with full was done all the same")
        memory.release()
        reads.release()
    }

    func reaping() throws {
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig(depth: 8)
        let memory = RigMemory(64 * 8)
        try demand(.reaping, try rig.reap().isEmpty, "there were completions at first")
        for most in [1, 3, 8] {
            for _ in 0..<8 { try rig.stage(read(&rig, file, memory)) }
            var rounds = 0
            while rig.inFlight > 0 {
                let left = rig.inFlight
                _ = try rig.submit(
                    minimum: left, deadline: rig.driver.now().advanced(by: .seconds(5)))
                // As many as there are, in spans too small for them.
                while try !rig.reap(most: most).isEmpty {}
                rounds += 1
                try demand(
                    .reaping, rounds < 1000,
                    "reaped \(most) at a time, \(rig.inFlight) completions never came")
            }
        }
        try demand(.reaping, try rig.reap().isEmpty, "there were completions left over")
        memory.release()
    }

    /// Requests that are submitted without waiting come nevertheless, if somebody waits for them later.
    func progress() throws {
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig(depth: 8)
        let memory = RigMemory(64 * 8)
        for _ in 0..<5 * effort {
            for _ in 0..<8 { try rig.stage(read(&rig, file, memory)) }
            _ = try rig.submit(minimum: 0, deadline: nil)
            try rig.finish()
        }
        memory.release()
    }
}

extension IORequest {
    /// A read of 16 bytes at the start of a file, for a slot that is not the rig's to give.
    static func read(slot: UInt32, _ descriptor: Int32, _ memory: RigMemory) -> IORequest {
        unsafe IORequest(
            token: IOToken(slot: slot, generation: 1), action: .read, descriptor: descriptor,
            address: memory.base + 64 * Int(slot), length: 16)
    }
}
