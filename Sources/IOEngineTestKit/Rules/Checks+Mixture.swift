internal import Glibc
internal import IOEngineCore
internal import IOEngineMock

extension Checks where Driver: ~Copyable {
    /// Requests of all kinds, as many at once as fit, each in a part of the file that it has for itself.
    func mixture() throws {
        let part = 8192
        let depth = 16
        var contents = pattern(depth * part)
        let file = try files.open(contents, .readWrite)
        var rig = try rig(depth: depth, firstGeneration: .max - 40)
        let actions = rig.driver.capabilities.actions
        let memory = RigMemory(depth * part)
        var random = random()
        var open: [IORequest?] = Array(repeating: nil, count: depth)
        var staged = 0
        let total = 250 * effort
        while staged < total || rig.inFlight > 0 {
            while staged < total, rig.inFlight < depth, random.happens(80) {
                let request = draw(&rig, file, memory, part, actions, &random)
                try rig.stage(request)
                open[Int(request.token.slot)] = request
                staged += 1
            }
            if random.happens(30) { _ = try rig.submit(minimum: 0, deadline: nil) }
            if random.happens(10) { rig.driver.hasten() }
            if rig.inFlight == 0 { continue }
            for completion in try rig.some() {
                let slot = Int(completion.token.slot)
                guard let request = open[slot] else { continue }
                open[slot] = nil
                try check(request, completion.result, memory, part, &contents)
            }
        }
        try demand(
            .mixture, try files.contents(file) == contents,
            "in the end the file has other bytes than were written")
        try demand(.memory, memory.isIntact, "memory beside that of the requests was touched")
        memory.release()
    }

    private func draw(
        _ rig: inout Rig<Driver>, _ file: IODescriptor, _ memory: RigMemory, _ part: Int,
        _ actions: Set<IOAction>, _ random: inout SimulationRandom
    ) -> IORequest {
        // The slot decides on the part; it is known once there is a request.
        var request = rig.request(.read, file.rawValue, memory, count: 1)
        let slot = Int(request.token.slot)
        let length = random.within(1...part)
        let start = slot * part + random.below(part - length + 1)
        request.offset = Int64(start)
        request.length = length
        unsafe request.address = memory.base + start
        switch random.below(10) {
        case 0 where actions.contains(.syncData): return plain(request, .syncData)
        case 1 where actions.contains(.noOperation):
            var request = plain(request, .noOperation)
            request.descriptor = -1
            return request
        case 2:
            // One that fails.
            request.descriptor = 999_999
        case 3, 4, 5, 6:
            memory.put(random.bytes(length), at: start)
            request.action = .write
        default:
            memory.fillPart(start, length, 0)
        }
        return request
    }

    private func plain(_ request: IORequest, _ action: IOAction) -> IORequest {
        var request = request
        request.action = action
        request.length = 0
        request.offset = 0
        unsafe request.address = nil
        return request
    }

    private func check(
        _ request: IORequest, _ result: Int, _ memory: RigMemory, _ part: Int,
        _ contents: inout [UInt8]
    ) throws {
        if request.descriptor == 999_999 {
            return try demand(
                .errors, result == -Int(EBADF),
                "a request on a descriptor that is not open was answered with \(result)")
        }
        guard request.action.isTransfer else {
            return try demand(
                .mixture, result == 0, "a \(request.action) was answered with \(result)")
        }
        let start = Int(request.offset)
        try demand(
            .mixture, result > 0 && result <= request.length,
            "a \(request.action) of \(request.length) bytes was answered with \(result)")
        let moved = memory.bytes(start..<start + result)
        if request.action == .write {
            contents.replaceSubrange(start..<start + result, with: moved)
        } else {
            try demand(
                .mixture, moved == Array(contents[start..<start + result]),
                "a read of \(request.length) bytes at \(start) gave other bytes than were there")
        }
    }
}
