internal import Glibc
internal import IOEngineCore
internal import IOEngineMock
internal import Synchronization

extension Checks where Driver: ~Copyable {
    func deadlines() throws {
        let rule = ContractRule.deadlines
        var rig = try rig()
        for wait: Duration in [.milliseconds(3), .microseconds(100), .zero, .milliseconds(-50)] {
            let deadline = rig.driver.now().advanced(by: wait)
            var early = 0
            // A wait may end early, but not always.
            while try rig.submit(minimum: 1, deadline: deadline) != .deadlinePassed {
                early += 1
                let now = rig.driver.now()
                try demand(
                    rule, early < 1000 && now < deadline.advanced(by: .seconds(2)),
                    "\(early) waits with nothing in flight ended without passing their deadline")
            }
            let now = rig.driver.now()
            try demand(
                rule, now >= deadline,
                "a deadline passed \(deadline.nanoseconds(since: now)) ns too early")
            try demand(
                rule, now < max(deadline, .init(nanoseconds: 0)).advanced(by: .seconds(2)),
                "a deadline passed \(now.nanoseconds(since: deadline)) ns too late")
        }
        // Without waiting there is no deadline to wait for.
        let start = IOInstant.monotonic()
        let far = rig.driver.now().advanced(by: .seconds(3600))
        _ = try rig.submit(minimum: 0, deadline: far)
        let took = IOInstant.monotonic().nanoseconds(since: start)
        try demand(
            rule, rig.driver.now() < far && took < 2_000_000_000,
            "a submission for 0 completions waited for its deadline")
    }

    func lateWaking() throws {
        let file = try files.open(pattern(4096), .readWrite)
        let waker: IOWaker
        do {
            var rig = try rig()
            waker = rig.driver.waker
            waker.wake()
            _ = try rig.submit(minimum: 1, deadline: nil)
        }
        for _ in 0..<3 { waker.wake() }
        var other = try rig()
        let memory = RigMemory(64 * 8)
        for _ in 0..<3 { waker.wake() }
        do {
            for _ in 0..<8 { try other.stage(read(&other, file, memory)) }
            try other.finish()
        } catch ContractEnd.broken(_, let sentence) {
            throw ContractEnd.broken(
                .lateWaking, "after the waker of a driver that is gone was used, " + sentence)
        }
        memory.release()
    }

    func idling() throws {
        var rig = try rig()
        let waker = rig.driver.waker
        let span: Int64 = 30_000_000
        let start = IOInstant.monotonic()
        let end = start.advanced(by: .nanoseconds(span))
        let thread = try KitThread {
            // A wait with a limit that nobody ends: the time that the driver is to sleep through.
            _ = IOWakeGate().wait(until: end)
            waker.wake()
        }
        let before = KitThread.processorTime
        var waits = 0
        while IOInstant.monotonic() < end {
            _ = try rig.submit(minimum: 1, deadline: nil)
            waits += 1
        }
        let used = KitThread.processorTime - before
        _ = thread.finish(seconds: 5)
        try demand(
            // On a loaded machine a busy wait gets little CPU time, so a tenth is a lot already; and it
            // may sleep, and still return again and again.
            .idling, used < span / 10 && waits < 500,
            "waiting for \(span / 1_000_000) ms in \(waits) waits it used "
                + "\(used / 1_000_000) ms of CPU time")
    }

    func clock() throws {
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig()
        let memory = RigMemory(64 * 8)
        var last = rig.driver.now()
        for round in 0..<30 {
            for _ in 0..<round % 8 { try rig.stage(read(&rig, file, memory)) }
            for _ in 0..<3 {
                let now = rig.driver.now()
                try demand(.clock, now >= last, "it went back")
                last = now
            }
            // A wait with a deadline moves it at least that far, or ends earlier with something.
            let deadline = last.advanced(by: .microseconds(50))
            if try rig.submit(minimum: 1, deadline: deadline) == .deadlinePassed {
                try demand(
                    .clock, rig.driver.now() >= deadline, "a deadline passed before its time")
            }
            _ = try rig.reap()
            try rig.finish()
        }
        memory.release()
    }

    func hastening() throws {
        let file = try files.open(pattern(4096), .readWrite)
        var rig = try rig()
        let memory = RigMemory(64 * 8)
        rig.driver.hasten()
        try demand(.hastening, try rig.reap().isEmpty, "hastening nothing gave completions")
        for count in [1, 3, 8] {
            for _ in 0..<count { try rig.stage(read(&rig, file, memory)) }
            rig.driver.hasten()
            do {
                while rig.inFlight > 0 { _ = try rig.some(patience: .seconds(2)) }
            } catch ContractEnd.broken(.exactlyOnce, let sentence) {
                throw ContractEnd.broken(.hastening, "after it, " + sentence)
            }
        }
        memory.release()
    }
}

/// A number that two threads see.
final class Atomic64: Sendable {
    private let number = Atomic<Int>(0)
    var value: Int {
        // Acquire and release: the one who sees a number sees what was done before it was set.
        get { number.load(ordering: .acquiring) }
        set { number.store(newValue, ordering: .releasing) }
    }
}

enum Pause {
    /// Lets others run.
    static func short() { sched_yield() }
}
