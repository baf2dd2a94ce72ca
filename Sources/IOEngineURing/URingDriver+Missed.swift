internal import Glibc
public import IOEngineCore

/// Requests that were to be cancelled, and that the kernel did not find: they are with a device, or with
/// a server.
///
/// Some come back: where a file system answers EAGAIN or EOPNOTSUPP to direct IO that it did on another
/// thread (FUSE does, as its server says), the kernel does the request again by itself, for as long as
/// that goes on, and tells nobody. It finds such a request only between two attempts, so it is asked
/// again, after 1 ms, then after twice as long each time, up to a second.
@safe @usableFromInline
struct MissedCancellations {
    private var tokens: [UInt64] = []
    /// How many there are, where it is looked at after each batch of completions.
    @usableFromInline private(set) var count = 0
    var isTimerSet = false
    private var milliseconds: Int64 = 1
    /// What the kernel reads the time from; nil: there was never a timer.
    private var time: UnsafeMutablePointer<(seconds: Int64, nanoseconds: Int64)>?

    mutating func add(_ token: UInt64) {
        // Nothing of the slot is to be cancelled any more: it has ended.
        if token != .max, !tokens.contains(token) { tokens.append(token) }
        count = tokens.count
    }

    mutating func remove(_ token: UInt64) {
        tokens.removeAll { $0 == token }
        count = tokens.count
        if count == 0 { milliseconds = 1 }
    }

    mutating func removeAll() {
        tokens.removeAll()
        milliseconds = 1
    }

    mutating func takeAll() -> [UInt64] {
        let taken = tokens
        tokens = []
        count = 0
        return taken
    }

    /// The next time to ask; longer each time. Stays where it is until the timer has ended.
    mutating func nextTime() -> UnsafeMutablePointer<(seconds: Int64, nanoseconds: Int64)> {
        let place = unsafe time ?? .allocate(capacity: 1)
        let seconds = milliseconds / 1000
        unsafe place.initialize(to: (seconds, milliseconds % 1000 * 1_000_000))
        unsafe time = place
        milliseconds = min(1000, milliseconds * 2)
        isTimerSet = true
        return unsafe place
    }

    /// Only when no timer is with the kernel.
    func deallocate() { unsafe time?.deallocate() }
}

extension URingDriver {
    /// Requests have ended: nothing is left to be cancelled of those that were to be.
    @usableFromInline
    mutating func noteFinished(_ completions: UnsafeBufferPointer<IOCompletion>) {
        for index in completions.indices {
            let token = unsafe completions[index].token
            let slot = Int(token.slot)
            guard slot < depth, cancelled[slot] == token.rawValue else { continue }
            cancelled[slot] = .max
            missed.remove(token.rawValue)
        }
    }

    /// The kernel did not find what it was to cancel.
    mutating func noteMissed(_ slot: Int) {
        // With nothing in flight it has ended: its completion came first.
        if inFlight == 0 { return missed.removeAll() }
        missed.add(cancelled[slot])
        setTimer()
    }

    /// Asks again for what was not found.
    mutating func cancelMissed() {
        if inFlight == 0 { return missed.removeAll() }
        for token in missed.takeAll() {
            let slot = Int(IOToken(rawValue: token).slot)
            guard cancelled[slot] == token else { continue }
            cancelled[slot] = .max
            // Without room for it, it waits for the next time.
            if cancel(IOToken(rawValue: token)) != .requested {
                cancelled[slot] = token
                missed.add(token)
            }
        }
        setTimer()
    }

    /// Without room in the queue it is tried again before the next wait.
    mutating func setTimer() {
        guard missed.count > 0, !missed.isTimerSet, let entry = unsafe ring.nextEntry() else {
            return
        }
        unsafe entry.pointee = URingEntry(after: missed.nextTime())
    }
}
