internal import Glibc
public import IOEngineCore

extension AIODriver {
    @inlinable @inline(__always)
    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        // The expected case: everything there is lies in the ring.
        if context.hasRing, finished.count | hopping | trialCount == 0 {
            reapRing(into: &completions)
        } else {
            reapOtherwise(into: &completions)
        }
    }

    @usableFromInline
    mutating func reapOtherwise(into completions: inout OutputSpan<IOCompletion>) {
        let before = completions.freeCapacity
        if finished.count > 0 { finished.pop(into: &completions) }
        inFlight &-= before &- completions.freeCapacity
        if context.hasRing {
            reapRing(into: &completions)
        } else if inKernel > 0, !completions.isFull {
            fetch()
            let before = completions.freeCapacity
            finished.pop(into: &completions)
            inFlight &-= before &- completions.freeCapacity
        }
        if hopping > 0 {
            let before = completions.freeCapacity
            pool.take(into: &completions)
            let taken = before &- completions.freeCapacity
            hopping &-= taken
            inFlight &-= taken
            if hasStagedHops { startHops() }
        }
    }

    @inlinable @inline(__always)
    mutating func reapRing(into completions: inout OutputSpan<IOCompletion>) {
        let start = context.head
        let end = context.tail
        if start == end { return }
        var place = start
        // Counted here and subtracted once: whoever takes an event's other kinds counts by himself.
        var taken = 0
        unsafe completions.withUnsafeMutableBufferPointer { room, count in
            while place != end && count < room.count {
                let event = unsafe context.event(place)
                let data = unsafe event.pointee.data
                var completion = unsafe IOCompletion(
                    token: IOToken(rawValue: data), result: event.pointee.result)
                if data == AIOEntry.wakeUpMark || trialCount > 0 {
                    if unsafe takeRare(event, &completion) {
                        unsafe (room.baseAddress.unsafelyUnwrapped + count).initialize(
                            to: completion)
                        count &+= 1
                    }
                } else {
                    unsafe entries[Int(completion.token.slot)].data = AIOEntry.noToken
                    unsafe (room.baseAddress.unsafelyUnwrapped + count).initialize(to: completion)
                    count &+= 1
                    taken &+= 1
                }
                place = context.place(after: place)
            }
        }
        if place == start { return }
        inFlight &-= taken
        inKernel &-= taken
        context.moveHead(to: place)
    }

    /// An event that may be a wake-up or the end of a trial. True: it is a completion.
    @usableFromInline
    mutating func takeRare(
        _ event: UnsafePointer<AIOEvent>, _ completion: inout IOCompletion
    ) -> Bool {
        guard let taken = unsafe take(event) else { return false }
        inFlight &-= 1
        completion = taken
        return true
    }

    /// Moves everything out of the ring.
    ///
    /// - Returns: How many events there were.
    @discardableResult
    mutating func collect() -> Int {
        guard context.hasRing else { return fetch() }
        var count = 0
        var place = context.head
        let end = context.tail
        while place != end {
            if let completion = unsafe take(context.event(place)) {
                finished.push(completion.token, completion.result)
            }
            place = context.place(after: place)
            count += 1
        }
        if count > 0 {
            context.moveHead(to: place)
            if hasStagedHops { startHops() }
        }
        return count
    }

    /// The same with a system call, where the ring cannot be read.
    @discardableResult
    private mutating func fetch() -> Int {
        let count = unsafe context.wait(minimum: 0, most: depth + 1, into: scratch, timeout: 0)
        for i in 0..<max(0, Int(count)) {
            if let completion = unsafe take(scratch + i) {
                finished.push(completion.token, completion.result)
            }
        }
        if hasStagedHops { startHops() }
        return max(0, Int(count))
    }

    /// What an event means. Nil: a wake-up, or a trial that goes on elsewhere.
    mutating func take(_ event: UnsafePointer<AIOEvent>) -> IOCompletion? {
        let data = unsafe event.pointee.data
        if data == AIOEntry.wakeUpMark {
            noteWakeUp()
            return nil
        }
        let token = IOToken(rawValue: data)
        let result = unsafe event.pointee.result
        inKernel &-= 1
        unsafe entries[Int(token.slot)].data = AIOEntry.noToken
        if trialCount > 0, endTrial(token, result) { return nil }
        return IOCompletion(token: token, result: result)
    }

    private mutating func noteWakeUp() {
        isListening = false
        attention.insert(.stoppedListening)
        systemCalls &+= 1
        // The pool makes itself heard in the same way.
        if wakeUp.clear() { wasWoken = true }
    }

    /// True: the request was on trial, would have had to wait, and is with the pool now.
    mutating func endTrial(_ token: IOToken, _ result: Int) -> Bool {
        let trial = unsafe trials + Int(token.slot)
        guard unsafe trial.pointee.token == token else { return false }
        let request = unsafe trial.pointee
        unsafe trial.pointee = Self.noTrial
        trialCount &-= 1
        guard result == -Int(EAGAIN) || result == -Int(EOPNOTSUPP) else { return false }
        hop(request)
        return true
    }

    /// Waits until the kernel has no request any more, in bounded steps.
    ///
    /// - Returns: How many did not end.
    static func settle(
        _ context: inout AIOContext, inKernel: Int, _ scratch: UnsafeMutablePointer<AIOEvent>,
        room: Int
    ) -> Int {
        var left = inKernel
        // Ten seconds at most without any progress, however many signals end a wait.
        let patience = Duration.seconds(10)
        var deadline = IOInstant.monotonic().advanced(by: patience)
        while left > 0, IOInstant.monotonic() < deadline {
            let count = unsafe context.wait(
                minimum: 1, most: room, into: scratch, timeout: 1_000_000_000)
            if count < 0, count != -EINTR { return left }
            if count > 0 { deadline = IOInstant.monotonic().advanced(by: patience) }
            for i in 0..<max(0, Int(count))
            where unsafe scratch[i].data != AIOEntry.wakeUpMark {
                left -= 1
            }
        }
        return left
    }
}
