internal import Glibc
internal import IOEngineCore
internal import IOEngineMock

/// The waker, and what waits say of it.
extension Checks where Driver: ~Copyable {
    func waking() throws {
        let rule = ContractRule.waking
        var rig = try rig()
        let waker = rig.driver.waker
        // Before the wait, several becoming one.
        for count in [1, 5] {
            for _ in 0..<count { waker.wake() }
            try rig.mustBeWoken(rule, "after \(count) wake-ups")
            try demand(rule, rig.reap().isEmpty, "a wake-up was handed out as a completion")
        }
        // During the wait, or shortly before: what comes first differs from round to round.
        let rounds = 300 * effort
        let announced = Atomic64()
        let thread = try KitThread {
            for round in 1...rounds {
                while announced.value < round { Pause.short() }
                waker.wake()
            }
        }
        for round in 1...rounds {
            announced.value = round
            // A signal may end it first.
            var isWoken = false
            for _ in 0..<100 where !isWoken {
                isWoken = try rig.submit(minimum: 1, deadline: nil) == .woken
            }
            try demand(rule, isWoken, "of 100 waits none told of a wake-up")
        }
        _ = thread.finish(seconds: 5)
    }

    func earlyWaking() throws {
        let rule = ContractRule.earlyWaking
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig()
        let waker = rig.driver.waker
        let memory = RigMemory(64 * 8)
        for round in 0..<20 {
            // Lets it begin to listen, in a wait that nobody ends.
            _ = try rig.submit(
                minimum: 1, deadline: rig.driver.now().advanced(by: .microseconds(200)))
            if round % 2 == 1 {
                for _ in 0..<4 { try rig.stage(read(&rig, file, memory)) }
            }
            if round % 4 < 2 { waker.wake() }
            // No waits: what is handed over, and what is reaped.
            var looks = 0
            repeat {
                try demand(
                    rule, rig.submit(minimum: 0, deadline: nil) != .woken,
                    "a submission for 0 completions used a wake-up up")
                _ = try rig.reap()
                Pause.short()
                looks += 1
                if round % 4 >= 2, looks == 1 { waker.wake() }
            } while looks < 3 || (rig.inFlight > 0 && looks < 100)
            try rig.mustBeWoken(rule, "a wake-up came between two waits")
            try rig.finish()
        }
        memory.release()
    }

    func busyWaking() throws {
        let rule = ContractRule.busyWaking
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig()
        let waker = rig.driver.waker
        let memory = RigMemory(64 * 8)
        for round in 0..<40 {
            // Neighbours, which a layer may join, and which fail together every other time: then it
            // does each again.
            for place in 0..<8 {
                let request = rig.request(
                    .read, round % 2 == 0 ? file.rawValue : noDescriptor, memory, place: place * 64,
                    count: 64, at: Int64(place) * 64)
                try rig.stage(request)
            }
            if round % 4 < 2 { waker.wake() }
            let isFirst = round % 8 < 4
            var waits = 0
            var isWoken = false
            while rig.inFlight > 0 {
                try demand(
                    .progress, waits < 100_000, "\(waits) waits left \(rig.inFlight) in flight")
                let deadline = rig.driver.now().advanced(by: Self.patience)
                let outcome = try rig.submit(
                    minimum: isFirst ? 1 : rig.inFlight, deadline: deadline)
                isWoken = isWoken || outcome == .woken
                if round % 4 >= 2, waits == 0 { waker.wake() }
                waits += 1
                _ = try rig.reap()
            }
            if !isWoken {
                try rig.mustBeWoken(
                    rule, "a wake-up came with 8 requests in flight, \(waits) waits ended")
            }
        }
        // Completions alone would end each of these waits.
        waker.wake()
        var rounds = 0
        while true {
            try rig.stage(rig.request(.noOperation))
            let deadline = rig.driver.now().advanced(by: Self.patience)
            let outcome = try rig.submit(minimum: 1, deadline: deadline)
            _ = try rig.reap()
            if outcome == .woken { break }
            rounds += 1
            try demand(
                rule, rounds < 2000,
                "\(rounds) waits in a row that completions ended did not tell of a wake-up")
            Pause.short()
            try rig.finish()
        }
        try rig.finish()
        memory.release()
    }

    private static var patience: Duration { Rig<Driver>.patience }
}

extension Rig where Driver: ~Copyable {
    /// Waits for a wake-up that came.
    mutating func mustBeWoken(_ rule: ContractRule, _ situation: String) throws {
        // What is finished and signals may end a wait first.
        for _ in 0..<100 {
            let deadline = driver.now().advanced(by: .seconds(2))
            let outcome = try submit(minimum: 1, deadline: deadline)
            if outcome == .woken { return }
            try demand(
                rule, outcome == .ready, "\(situation), and the next wait answered \(outcome)")
            _ = try reap()
        }
        throw ContractEnd.broken(rule, "\(situation), and of 100 waits none told of it")
    }
}
