internal import Glibc
internal import IOEngineCore
internal import IOEngineMock
internal import SystemPackage

extension Checks where Driver: ~Copyable {
    /// A number that no process of ours has open.
    var noDescriptor: Int32 { 999_999 }

    func syncs() throws {
        var rig = try rig()
        let actions = rig.driver.capabilities.actions
        let syncs = [IOAction.syncData, .syncFull].filter { actions.contains($0) }
        if syncs.isEmpty { throw ContractEnd.skipped("the driver does not sync") }
        let file = try files.open([UInt8](repeating: 0, count: 8 * 4096), .readWrite)
        let memory = RigMemory(8 * 4096)
        for round in 1...6 * effort {
            memory.fill(UInt8(round))
            for place in 0..<7 {
                try rig.stage(
                    rig.request(
                        .write, file.rawValue, memory, place: place * 4096, count: 4096,
                        at: Int64(place * 4096)))
            }
            // All, or what happens to be completed.
            if round % 2 == 0 { try rig.finish() } else { _ = try rig.some() }
            let done = 7 - rig.inFlight
            let completed = try safeAfterSync(&rig, file, syncs[round % syncs.count], memory)
            if done == 7, let completed {
                try demand(
                    .syncs, completed[..<(7 * 4096)].allSatisfy { $0 == UInt8(round) },
                    "a sync succeeded, and what had been written before it would be lost by a crash"
                )
            }
            try rig.finish()
        }
        for action in syncs {
            let result = try rig.one(rig.request(action, noDescriptor))
            try demand(
                .errors, result == -Int(EBADF),
                "a sync of a descriptor that is not open was answered with \(result)")
        }
        memory.release()
        if files.safeContents == nil {
            throw ContractEnd.skipped(
                "what is durable cannot be told here; that syncs succeed was checked")
        }
    }

    /// Syncs, and says what is safe when the sync has succeeded; nil: nobody can tell.
    private func safeAfterSync(
        _ rig: inout Rig<Driver>, _ file: IODescriptor, _ action: IOAction, _ memory: RigMemory
    ) throws -> [UInt8]? {
        let sync = rig.request(action, file.rawValue)
        try rig.stage(sync)
        var safe: [UInt8]?
        while rig.inFlight > 0 {
            for completion in try rig.some() where completion.token == sync.token {
                try demand(
                    .syncs, completion.result == 0,
                    "a sync was answered with \(completion.result)")
                safe = try files.safeContents?(file)
            }
        }
        return safe
    }

    func flags() throws {
        let before = pattern(2000)
        var rig = try rig()
        let memory = RigMemory(512, filled: 0x42)
        // No such flag exists.
        for action in [IOAction.read, .write] {
            let file = try files.open(before, .readWrite)
            let result = try rig.one(
                rig.request(
                    action, file.rawValue, memory, flags: IOFlags(rawValue: 1 << 30)))
            try demand(
                .flags, result == -Int(EOPNOTSUPP),
                "a \(action) with a flag that does not exist was answered with \(result)")
            try demand(
                .flags, try files.contents(file) == before,
                "a \(action) with a flag that does not exist was done")
        }
        memory.fill(0x42)
        let file = try files.open(before, .readWrite)
        var result = try rig.one(
            rig.request(.write, file.rawValue, memory, at: 100, flags: .append))
        if result != -Int(EOPNOTSUPP) {
            try demand(
                .flags,
                result == 512
                    && files.contents(file) == before + [UInt8](repeating: 0x42, count: 512),
                "a write with the flag append was answered with \(result), not done at the end")
        }
        let synced = try files.open(before, .readWrite)
        result = try rig.one(
            rig.request(.write, synced.rawValue, memory, at: 0, flags: .dataSync))
        if result != -Int(EOPNOTSUPP) {
            try demand(
                .flags, result == 512, "a write with the flag dataSync was answered with \(result)")
            if let safe = try files.safeContents?(synced) {
                try demand(
                    .flags, safe[..<512].allSatisfy { $0 == 0x42 },
                    "a write with the flag dataSync was completed, and a crash would lose it")
            }
        }
        let appending = try files.open(before, .appending)
        result = try rig.one(rig.request(.write, appending.rawValue, memory, at: 7))
        try demand(
            .flags,
            result == 512
                && files.contents(appending) == before + [UInt8](repeating: 0x42, count: 512),
            "a write to a file that is open for appending did not go to its end")
        memory.release()
    }

    func allocating() throws {
        var rig = try rig()
        guard rig.driver.capabilities.actions.contains(.allocate) else {
            throw ContractEnd.skipped("the driver does not allocate")
        }
        let before = pattern(20_000)
        for (mode, mayBeRefused) in [
            (IOAllocationMode.extend, false), (.keepSize, false), (.punchHole, true),
            (.zeroRange, true), (.zeroRangeKeepSize, true),
        ] {
            let file = try files.open(before, .readWrite)
            let range = 8192..<32_768
            let result = try rig.one(rig.request(allocate: mode, file.rawValue, range))
            if mayBeRefused, result == -Int(EOPNOTSUPP) { continue }
            try demand(
                .allocating, result == 0, "mode \(mode.rawValue) was answered with \(result)")
            var wanted = before
            if mode != .extend && mode != .keepSize {
                wanted.replaceSubrange(
                    8192..<20_000, with: repeatElement(0, count: 20_000 - 8192))
            }
            if mode == .extend || mode == .zeroRange {
                wanted += [UInt8](repeating: 0, count: 32_768 - 20_000)
            }
            try demand(
                .allocating, try files.contents(file) == wanted,
                "mode \(mode.rawValue) left the file with other bytes, or another size, than it says"
            )
        }
        let file = try files.open(before, .readOnly)
        let result = try rig.one(rig.request(allocate: .extend, file.rawValue, 0..<100_000))
        try demand(
            .errors, result == -Int(EBADF),
            "an allocate on a file that is open for reading only was answered with \(result)")
    }

    func errors() throws {
        var rig = try rig()
        let memory = RigMemory(512)
        let readOnly = try files.open(pattern(1000), .readOnly)
        let writeOnly = try files.open(pattern(1000), .writeOnly)
        for (action, descriptor, what) in [
            (IOAction.read, noDescriptor, "of a descriptor that is not open"),
            (.write, noDescriptor, "to a descriptor that is not open"),
            (.read, writeOnly.rawValue, "of a file that is open for writing only"),
            (.write, readOnly.rawValue, "to a file that is open for reading only"),
        ] {
            let result = try rig.one(rig.request(action, descriptor, memory))
            try demand(
                .errors, result == -Int(EBADF),
                "a \(action) \(what) was answered with \(result), not with EBADF")
        }
        try demand(
            .errors, try files.contents(readOnly) == pattern(1000),
            "a file that is open for reading only was written to")
        memory.release()
    }

    func neighbours() throws {
        let contents = pattern(8192)
        let file = try files.open(contents, .readWrite)
        var rig = try rig()
        let memory = RigMemory(8 * 512)
        for bad in 0..<8 {
            memory.fill(0)
            for place in 0..<8 {
                try rig.stage(
                    rig.request(
                        .read, place == bad || place == 5 ? noDescriptor : file.rawValue, memory,
                        place: place * 512, count: 512, at: Int64(place * 1000)))
            }
            let results = try rig.finish()
            for place in 0..<8 {
                let result = results[UInt32(place)] ?? .min
                if place == bad || place == 5 {
                    try demand(
                        .errors, result == -Int(EBADF),
                        "a read of a descriptor that is not open was answered with \(result)")
                    continue
                }
                let found = memory.bytes(place * 512..<place * 512 + 512)
                let wanted = contents[place * 1000..<place * 1000 + 512]
                try demand(
                    .neighbours, result == 512 && found == Array(wanted),
                    "beside a request that fails, a read was answered with \(result)")
            }
        }
        memory.release()
    }

    func inspecting() throws {
        var rig = try rig()
        func facts(_ use: ContractFiles.Use) throws -> IODescriptorFacts {
            let file = try files.open(pattern(777), use)
            return try rig.driver.inspect(file.rawValue)
        }
        let plain = try facts(.readWrite)
        try demand(
            .inspecting,
            plain.kind == .regular && plain.isSeekable && plain.isReadable && plain.isWritable
                && !plain.isDirect && !plain.isAppending,
            "a file that is open for reading and writing was described as \(plain)")
        try demand(
            .inspecting, plain.size == 777, "a file of 777 bytes was said to have \(plain.size)")
        let readOnly = try facts(.readOnly)
        try demand(
            .inspecting, readOnly.isReadable && !readOnly.isWritable,
            "a file that is open for reading only was described as \(readOnly)")
        let appending = try facts(.appending)
        try demand(
            .inspecting, appending.isAppending && !appending.isReadable,
            "a file that is open for appending was described as \(appending)")
        if let directory = try files.openDirectory?() {
            let facts = try rig.driver.inspect(directory.rawValue)
            try demand(
                .inspecting, facts.kind == .directory, "a directory was said to be \(facts.kind)")
        }
        if let pipe = try files.openPipe?() {
            let facts = try rig.driver.inspect(pipe.rawValue)
            try demand(.inspecting, !facts.isSeekable, "a pipe was said to have offsets")
        }
        do {
            _ = try rig.driver.inspect(noDescriptor)
            throw ContractEnd.broken(.inspecting, "a descriptor that is not open was described")
        } catch let errno as Errno {
            try demand(
                .inspecting, errno == .badFileDescriptor,
                "a descriptor that is not open gave \(errno), not EBADF")
        }
        // A file that grows is looked at anew.
        let file = try files.open(pattern(10), .readWrite)
        let memory = RigMemory(100)
        _ = try rig.driver.inspect(file.rawValue)
        _ = try rig.one(rig.request(.write, file.rawValue, memory, at: 50))
        let grown = try rig.driver.inspect(file.rawValue).size
        try demand(
            .inspecting, grown == 150,
            "a file that had grown to 150 bytes was said to have \(grown)")
        memory.release()
    }

    func registration() throws {
        var rig = try rig()
        let capabilities = rig.driver.capabilities
        let contents = pattern(4096)
        let file = try files.open(contents, .readWrite)
        let memory = RigMemory(4096)
        let region = unsafe UnsafeMutableRawBufferPointer(start: memory.base, count: 4096)
        let answer = unsafe rig.driver.register(regions: [region])
        var hasMemory = false
        if case .registered = answer { hasMemory = true }
        try demand(
            .registration, !hasMemory || capabilities.registersMemory,
            "memory was registered, though capabilities say that it cannot be")
        var index: Int32 = -1
        if case .registered(let given) = rig.driver.register(descriptor: file.rawValue) {
            index = given
            try demand(
                .registration, capabilities.registersDescriptors && given >= 0,
                "a descriptor was registered as \(given), which cannot be")
        }
        for isRegistered in [true, false] {
            var request = rig.request(.read, file.rawValue, memory, place: 512, count: 1000, at: 50)
            if isRegistered {
                request.registeredRegion = hasMemory ? 0 : -1
                request.registeredDescriptor = index
            }
            memory.fill(0)
            let result = try rig.one(request)
            try demand(
                .registration,
                result == 1000 && memory.bytes(512..<1512) == Array(contents[50..<1050]),
                "a read with what is registered was answered with \(result)")
        }
        if index >= 0 { rig.driver.unregister(descriptorIndex: index) }
        if hasMemory { _ = unsafe rig.driver.register(regions: []) }
        let result = try rig.one(rig.request(.read, file.rawValue, memory, count: 100))
        try demand(
            .registration, result == 100, "after unregistering, a read was answered with \(result)")
        memory.release()
    }
}
