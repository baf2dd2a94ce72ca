internal import Glibc
internal import IOEngineCore
internal import SystemPackage
internal import Testing

extension DriverChecks where Driver: ~Copyable {
    /// A deadline ends a wait, with nothing in flight.
    public func deadlines() throws {
        var driver = try make(4)
        let start = driver.now()
        var signals = 2
        let isOver = driver.waitsInVain(milliseconds: 5, forgiving: &signals)
        #expect(isOver)
        #expect(driver.submit(minimum: 1, deadline: start) == .deadlinePassed, "it is past")
        let far = start.advanced(by: .seconds(100))
        #expect(driver.submit(minimum: 0, deadline: far) == .ready, "nothing to wait for")
        try driver.mustStage(.plain(.noOperation, 0))
        #expect(driver.submit(minimum: 1, deadline: start) == .ready, "it is there")
        #expect(driver.finished().count == 1)
    }

    /// Another thread ends a wait with nothing in flight, each time.
    public func wakesFromAnotherThread() throws {
        var driver = try make(4)
        let waker = driver.waker
        let waits = Counter()
        let thread = try TestThread {
            // One wake-up a wait: the next comes when the wait before has ended.
            for round in 0..<200 {
                while waits.value < round { sched_yield() }
                waker.wake()
            }
        }
        for _ in 0..<200 {
            let outcome = driver.submit(minimum: 1, deadline: far(driver))
            waits.add()
            try #require(outcome == .woken, "the wake-up was lost")
            let count = driver.finished().count
            try #require(count == 0, "a wake-up is no completion")
        }
        thread.join()
    }

    /// A wake-up that comes first ends the next wait at once; several become one.
    public func wakesBefore() throws {
        var driver = try make(4)
        let becomeOne = driver.wakeUpsBecomeOne()
        #expect(becomeOne, "all were used up")
    }

    /// With a full queue a wake-up still finds its way, and nothing is lost.
    public func wakesWhenFull(depth: Int) throws {
        let path = TemporaryFolder.newPath("full")
        let file = try fileWith(pattern(4096), at: path)
        let direct = try IODescriptor.open(FilePath(path), .readWrite, direct: true)
        var driver = try make(depth)
        let waker = driver.waker
        let memory = RawMemory(4096)
        for round in 0..<40 {
            if round % 3 == 0 { waker.wake() }
            for slot in 0..<depth {
                let descriptor = (round + slot) % 2 == 0 ? file.rawValue : direct.rawValue
                try driver.mustStage(IORequest(.read, UInt32(slot), descriptor, memory))
            }
            let results = try driver.finish(depth)
            #expect(results.values.allSatisfy { $0 == 4096 })
        }
        waker.wake()
        let outcome = driver.submit(minimum: 1, deadline: far(driver))
        #expect(outcome == .woken)
    }

    /// A producer that pushes and wakes, and a driver that sleeps when it sees nothing: no push is missed.
    public func losesNoWakeUp(pushes: Int) throws {
        var driver = try make(2)
        let waker = driver.waker
        let pushed = Counter()
        let thread = try TestThread {
            for _ in 0..<pushes {
                pushed.add()
                waker.wake()
            }
        }
        var seen = 0
        while seen < pushes {
            let now = pushed.value
            if now > seen {
                seen = now
                continue
            }
            let outcome = driver.submit(minimum: 1, deadline: far(driver))
            try #require(outcome == .woken, "a wake-up was lost after \(seen) of \(pushes)")
        }
        thread.join()
    }

    /// A waker outlives its driver, and does nothing then.
    public func outlives() throws {
        let waker: IOWaker
        do {
            var driver = try make(2)
            waker = driver.waker
            waker.wake()
            _ = driver.submit(minimum: 1, deadline: far(driver))
            // Listens again, without being woken.
            _ = driver.submit(minimum: 1, deadline: driver.now().advanced(by: .milliseconds(1)))
        }
        for _ in 0..<3 { waker.wake() }
    }

    // MARK: With a write that does not end

    /// A write that waits for a thaw.
    private func stuck(_ slot: Int, _ frozen: FrozenFile, _ memory: RawMemory) -> IORequest {
        var request = IORequest(.write, UInt32(slot), frozen.file.rawValue, memory)
        request.traits = .known
        return request
    }

    /// Neither a deadline nor a wake-up nor other requests wait for a write that does not end.
    public func goesOnBesideWhatIsStuck(label: String) throws {
        guard let frozen = try FrozenFile(label: label) else { return }
        let file = try fileWith(pattern(4096))
        var driver = try make(4)
        let waker = driver.waker
        let memory = RawMemory(4096, byte: 7)
        try driver.mustStage(stuck(0, frozen, memory))
        let other = RawMemory(4096)
        var signals = 2
        for round in 0..<20 {
            let isOver = driver.waitsInVain(milliseconds: 1, forgiving: &signals)
            #expect(isOver)
            waker.wake()
            #expect(driver.submit(minimum: 1, deadline: far(driver)) == .woken)
            #expect(driver.finished().isEmpty)
            try driver.mustStage(IORequest(.read, 1, file.rawValue, other))
            try driver.mustStage(.plain(.syncData, 2, file.rawValue))
            if round % 2 == 0 { try driver.mustStage(.plain(.noOperation, 3)) }
            let results = try driver.finish(round % 2 == 0 ? 3 : 2)
            #expect(results[0] == nil && results[1] == 4096 && results[2] == 0)
        }
        #expect(driver.cancel(token(0)) != .cancelled, "it was begun")
        frozen.thaw()
        let results = try driver.finish(1)
        #expect(results == [0: 4096], "a success stays a success")
        #expect(driver.cancel(token(0)) == .unknown)
    }

    /// What the driver holds, and how `cancel` answers for each of it. One helper, so that what is behind
    /// a stuck write has not begun.
    public func cancels(label: String) throws {
        guard let frozen = try FrozenFile(label: label) else { return }
        let file = try fileWith(pattern(4096))
        var driver = try make(8)
        let memory = RawMemory(4096, byte: 7)
        let other = RawMemory(4096)
        #expect(driver.cancel(token(0)) == .unknown)
        // Staged: of each kind.
        try driver.mustStage(stuck(0, frozen, memory))
        try driver.mustStage(IORequest(.read, 1, file.rawValue, other))
        try driver.mustStage(.plain(.syncFull, 2, file.rawValue))
        try driver.mustStage(.plain(.noOperation, 3))
        #expect(driver.cancel(IOToken(slot: 1, generation: 2)) == .unknown)
        #expect(driver.cancel(IOToken(slot: 9, generation: 1)) == .unknown)
        for slot in [0, 1, 2] { #expect(driver.cancel(token(slot)) == .cancelled) }
        #expect(driver.cancel(token(1)) == .tooLate, "it is finished already")
        #expect(driver.cancel(token(3)) == .tooLate)
        var results = try driver.finish(4)
        #expect(results == [0: -Int(ECANCELED), 1: -Int(ECANCELED), 2: -Int(ECANCELED), 3: 0])
        // With a helper, and behind it.
        try driver.mustStage(stuck(0, frozen, memory))
        var signals = 2
        let isOver = driver.waitsInVain(milliseconds: 20, forgiving: &signals)
        #expect(isOver)
        for slot in 1..<4 { try driver.mustStage(stuck(slot, frozen, memory)) }
        #expect(driver.submit(minimum: 0, deadline: nil) == .ready)
        #expect(driver.cancel(token(2)) == .cancelled)
        #expect(driver.cancel(token(0)) == .tooLate)
        results = try driver.finish(1)
        #expect(results == [2: -Int(ECANCELED)])
        #expect(driver.cancel(token(2)) == .unknown)
        frozen.thaw()
        results = try driver.finish(3)
        #expect(results == [0: 4096, 1: 4096, 3: 4096])
    }

    // MARK: Dropping

    /// Dropped with anything staged or in flight, it returns, and nobody uses the memory afterwards.
    public func drops() throws {
        let path = TemporaryFolder.newPath("drop")
        let file = try fileWith(pattern(1 << 20), at: path)
        let direct = try IODescriptor.open(FilePath(path), .readWrite, direct: true)
        for (isSubmitted, isWoken) in [(false, false), (true, false), (true, true)] {
            let memory = RawMemory(32 * 4096, byte: 5)
            do {
                var driver = try make(32)
                if isWoken { driver.waker.wake() }
                for slot in 0..<32 {
                    let descriptor = slot % 2 == 0 ? file.rawValue : direct.rawValue
                    let action: IOAction = slot % 3 == 0 ? .read : .write
                    try driver.mustStage(
                        IORequest(
                            action, UInt32(slot), descriptor, memory, place: slot * 4096,
                            count: 4096, at: Int64(slot) * 4096))
                }
                if isSubmitted { _ = driver.submit(minimum: 0, deadline: nil) }
            }
            memory.fill(with: 8)
            #expect(memory.isAll(8))
        }
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size == 1 << 20)
    }

    /// Dropped while helpers allocate, over and over.
    public func dropsWhileAllocating() throws {
        let file = try fileWith([])
        for round in 0..<50 {
            var driver = try make(8)
            for slot in 0..<8 {
                try driver.mustStage(
                    .plain(
                        .allocate, UInt32(slot), file.rawValue, offset: Int64(slot) << 20,
                        length: 1 << 20))
            }
            _ = driver.submit(minimum: round % 3, deadline: far(driver))
            if round % 2 == 0 { _ = driver.finished(most: 2) }
        }
        let size = try file.fileDescriptor.seek(offset: 0, from: .end)
        #expect(size % (1 << 20) == 0)
    }

    /// Dropped with a write that does not end, it waits for it.
    public func dropsWithWhatIsStuck(label: String) throws {
        guard let frozen = try FrozenFile(label: label) else { return }
        let memory = RawMemory(4096, byte: 6)
        let isThawed = Counter()
        let thread: TestThread
        do {
            var driver = try make(4)
            for slot in 0..<3 { try driver.mustStage(stuck(slot, frozen, memory)) }
            var signals = 2
            let isOver = driver.waitsInVain(milliseconds: 20, forgiving: &signals)
            #expect(isOver)
            thread = try TestThread {
                isThawed.add()
                frozen.thaw()
            }
        }
        #expect(isThawed.value == 1, "the kernel was not done with the memory before")
        thread.join()
    }
}
