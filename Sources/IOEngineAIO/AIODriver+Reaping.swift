internal import CLibAIO
internal import Glibc
public import IOEngineCore

extension AIODriver {
    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        let room = completions.freeCapacity
        if finished.count > 0 { finished.pop(into: &completions) }
        if context.hasRing {
            reapRing(into: &completions)
        } else if inKernel > 0, !completions.isFull {
            fetch()
            finished.pop(into: &completions)
        }
        if hopping > 0 {
            let before = completions.freeCapacity
            pool.take(into: &completions)
            hopping &-= before &- completions.freeCapacity
            if hasStagedHops { startHops() }
        }
        inFlight &-= room &- completions.freeCapacity
    }

    @inline(__always)
    private mutating func reapRing(into completions: inout OutputSpan<IOCompletion>) {
        let start = context.head
        let end = context.tail
        var place = start
        while place != end, !completions.isFull {
            let event = unsafe context.event(place)
            place = context.place(after: place)
            if let completion = unsafe take(event) { completions.append(completion) }
        }
        if place != start { context.moveHead(to: place) }
    }

    /// Whether a wake-up lies in the ring.
    @inline(never)
    func ringHasWakeUp() -> Bool {
        guard context.hasRing else { return false }
        var place = context.head
        let end = context.tail
        while place != end {
            let data = unsafe UInt64(UInt(bitPattern: context.event(place).pointee.data))
            if data == Self.wakeUpMark { return true }
            place = context.place(after: place)
        }
        return false
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
            let event = unsafe context.event(place)
            place = context.place(after: place)
            count += 1
            if let completion = unsafe take(event) {
                finished.push(completion.token, completion.result)
            }
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
    @inline(__always)
    mutating func take(_ event: UnsafePointer<io_event>) -> IOCompletion? {
        let data = unsafe UInt64(UInt(bitPattern: event.pointee.data))
        if data == Self.wakeUpMark {
            noteWakeUp()
            return nil
        }
        let token = IOToken(rawValue: data)
        let result = unsafe Int(bitPattern: event.pointee.res)
        inKernel &-= 1
        unsafe Self.set(Self.noToken, in: blocks + Int(token.slot))
        if trialCount > 0, endTrial(token, result) { return nil }
        return IOCompletion(token: token, result: result)
    }

    @inline(never)
    private mutating func noteWakeUp() {
        isListening = false
        wasWoken = true
        systemCalls &+= 1
        wakeUp.clear()
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
        _ context: inout AIOContext, inKernel: Int, _ scratch: UnsafeMutablePointer<io_event>,
        room: Int
    ) -> Int {
        var left = inKernel
        // Ten waits of a second at most without any progress.
        var idle = 0
        while left > 0, idle < 10 {
            let count = unsafe context.wait(
                minimum: 1, most: room, into: scratch, timeout: 1_000_000_000)
            if count == 0 { idle += 1 }
            if count < 0, count != -EINTR { return left }
            if count > 0 { idle = 0 }
            for i in 0..<max(0, Int(count))
            where unsafe UInt64(UInt(bitPattern: scratch[i].data)) != wakeUpMark {
                left -= 1
            }
        }
        return left
    }
}
