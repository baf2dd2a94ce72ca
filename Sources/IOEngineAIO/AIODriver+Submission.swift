internal import Glibc
public import IOEngineCore

extension AIODriver {
    @inlinable @inline(__always)
    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        // The expected case: only the kernel has something to do, takes it with one system call, and has
        // done what is waited for.
        let others = attempts.count | trialCount | finished.count | hopping
        if others == 0, attention.isEmpty, batchCount > 0, context.hasRing,
            inKernel &+ batchCount <= context.size
        {
            let answer = unsafe context.submit(batch, count: batchCount)
            if answer == batchCount {
                inKernel &+= answer
                batchCount = 0
                if context.ready >= min(minimum, inFlight) {
                    return minimum > 0 ? ended(.ready) : .ready
                }
            } else if answer > 0 {
                inKernel &+= answer
                removeFirst(answer)
            }
        }
        return submitOtherwise(minimum, deadline)
    }

    @usableFromInline
    mutating func submitOtherwise(
        _ minimum: Int, _ deadline: IOInstant?
    ) -> IOWaitOutcome {
        // First what must hop, so that helpers work on it while this thread does the rest.
        if hasStagedHops { startHops() }
        if attempts.count > 0 { attempt() }
        // More than is in flight never comes; with nothing in flight only a wake-up does.
        let goal = min(minimum, max(1, inFlight))
        // Once somebody was listened to, that goes along with the batch.
        if attention.contains(.stoppedListening), goal > 0 { listen() }
        var isFull = false
        if batchCount > 0 {
            switch handOver() {
            case .everything: break
            case .untilFull: isFull = true
            case .failed(let errno): return .failed(errno: errno)
            }
        }
        // What was on trial and would have had to wait is back already.
        if trialCount > 0 { collect() }
        if goal &- finished.count &- (hopping > 0 ? pool.ready : 0) <= context.ready {
            return goal > 0 ? ended(.ready) : .ready
        }
        if mustListen {
            listen()
            switch handOver() {
            case .everything: break
            case .untilFull: isFull = true
            case .failed(let errno): return .failed(errno: errno)
            }
        }
        return ended(sleep(until: goal, isFull: isFull, deadline))
    }

    /// A wait ends, and tells of every wake-up so far. One that lies in the ring is taken now: what
    /// is taken later came later, and ends the next wait.
    @inlinable @inline(__always)
    mutating func ended(_ outcome: IOWaitOutcome) -> IOWaitOutcome {
        guard isListening, context.hasRing else {
            return wasWoken || wakeUp.isListenedTo ? endedUnheard(outcome) : outcome
        }
        var place = context.head
        let end = context.tail
        while place != end {
            if unsafe context.event(place).pointee.data == AIOEntry.wakeUpMark {
                return endedListening(outcome)
            }
            place = context.place(after: place)
        }
        return wasWoken ? tell(outcome) : outcome
    }

    /// Nobody listens: a wake-up was taken, or there may be one that nobody hears as long as
    /// completions end each wait.
    @usableFromInline
    mutating func endedUnheard(_ outcome: IOWaitOutcome) -> IOWaitOutcome {
        if !isListening { attention.insert(.stoppedListening) }
        return tell(outcome)
    }

    @usableFromInline
    mutating func endedListening(_ outcome: IOWaitOutcome) -> IOWaitOutcome {
        collect()
        return tell(outcome)
    }

    /// How a wait ended after all.
    @usableFromInline
    mutating func tell(_ outcome: IOWaitOutcome) -> IOWaitOutcome {
        if case .failed = outcome { return outcome }
        guard wasWoken else { return outcome }
        wasWoken = false
        return .woken
    }

    /// Whether something may end a wait that the context does not hear yet.
    private var mustListen: Bool {
        !isListening && (hopping > 0 || wakeUp.isListenedTo)
    }

    // The driver counts what the pool has, so that nothing of the pool is touched without need.

    /// Gives a request to the pool, with the next `startHops`.
    mutating func hop(_ request: IORequest) {
        pool.stage(request)
        hopping &+= 1
        hasStagedHops = true
    }

    mutating func startHops() {
        hasStagedHops = false
        pool.start()
    }

    /// Tries what may need no waiting; the pool gets what does.
    private mutating func attempt() {
        for index in 0..<attempts.count {
            let request = attempts[index]
            systemCalls &+= 1
            if let result = request.attempt() {
                finished.push(request.token, result)
            } else {
                hop(request)
            }
        }
        attempts.removeAll()
        if hasStagedHops { startHops() }
    }

    /// Keeps in the batch what the kernel did not take.
    @usableFromInline
    mutating func removeFirst(_ count: Int) {
        if count > 0 { attention.remove(.startsListening) }
        for i in count..<batchCount { unsafe batch[i - count] = batch[i] }
        batchCount &-= count
    }

    private enum HandOver {
        case everything, untilFull
        case failed(errno: Int32)
    }

    /// Gives the kernel what is staged for it, as far as the context has room.
    private mutating func handOver() -> HandOver {
        var first = 0
        var outcome = HandOver.everything
        // Attempts in a row without any progress.
        var attempts = 0
        while first < batchCount {
            // The entry that listens has a place of its own.
            let room = context.size &- inKernel &+ (first == 0 && startsListening ? 1 : 0)
            let answer =
                room == 0
                ? -Int(EAGAIN)
                : unsafe context.submit(batch + first, count: min(room, batchCount &- first))
            if answer > 0 {
                inKernel &+= answer &- (first == 0 && startsListening ? 1 : 0)
                first &+= answer
                attempts = 0
            } else if answer == 0 || answer == -Int(EAGAIN) || answer == -Int(EINTR) {
                // Places are free again only when their events are taken, never by waiting.
                if collect() > 0 { continue }
                if inKernel > 0, answer != -Int(EINTR) {
                    outcome = .untilFull
                    break
                }
                attempts += 1
                if attempts == Self.maximumAttempts {
                    outcome = .failed(errno: answer == -Int(EINTR) ? EINTR : EAGAIN)
                    break
                }
                if answer != -Int(EINTR) { backOff(attempts) }
            } else {
                // Only the first entry is at fault.
                if first == 0, startsListening {
                    outcome = .failed(errno: Int32(truncatingIfNeeded: -answer))
                    isListening = false
                    attention.insert(.stoppedListening)
                } else {
                    unsafe refuse(batch[first].unsafelyUnwrapped, answer)
                }
                first &+= 1
            }
        }
        removeFirst(first)
        if hasStagedHops { startHops() }
        return outcome
    }

    private var startsListening: Bool { attention.contains(.startsListening) }

    /// Attempts in a row with nothing in the kernel, before it becomes a failure. Together they back
    /// off for about a quarter of a second.
    private static var maximumAttempts: Int { 64 }

    /// Lets others run, longer each time: 1 us doubling up to 4 ms.
    private func backOff(_ attempt: Int) {
        _ = usleep(1 << UInt32(min(attempt, 12)))
    }

    /// The kernel refused an entry, as it does with what is wrong at first sight.
    private mutating func refuse(_ entry: UnsafeMutablePointer<AIOEntry>, _ answer: Int) {
        let token = unsafe IOToken(rawValue: entry.pointee.data)
        unsafe entry.pointee.data = AIOEntry.noToken
        if endTrial(token, answer) { return }
        var answer = answer
        let reads = unsafe [.read, .readVectored].contains(entry.pointee.command)
        if answer == -Int(EINVAL), reads {
            // As read(2) says it.
            var status = stat()
            if unsafe fstat(entry.pointee.descriptor, &status) == 0,
                status.st_mode & S_IFMT == S_IFDIR
            {
                answer = -Int(EISDIR)
            }
        }
        finished.push(token, answer)
    }

    /// Waits in the kernel, for as many events as can tell that the goal is reached.
    ///
    /// - Parameters:
    ///   - target: Completions that are to be there; at least 1.
    ///   - isFull: Requests are left that the kernel did not take: go on as soon as there is room.
    private mutating func sleep(
        until target: Int, isFull: Bool, _ deadline: IOInstant?
    ) -> IOWaitOutcome {
        // Taken on the way here, and meant for this wait: nobody listens any more.
        if wasWoken { return .ready }
        let usesPool = hopping > 0
        // Looked at once: what the pool finishes from here on is what it wakes this thread for.
        let ready = usesPool ? pool.ready : 0
        let missing = target &- finished.count &- ready
        if missing <= context.ready { return .ready }
        // The pool wakes this thread once, and neither side knows what the other has finished: where both
        // may finish something, whichever comes first ends the wait.
        let wanted = isFull || usesPool && inKernel > 0 ? 1 : missing
        if usesPool, !pool.willSleep(for: min(ready &+ wanted, hopping)) { return .ready }
        var goal = usesPool ? 1 : max(1, min(wanted, inKernel))
        if startsListening {
            // The kernel is short of memory and would not hear a wake-up.
            if inKernel == 0 { return .ready }
            goal = 1
        }
        let timeout = deadline.map(Self.nanoseconds(until:))
        let count = unsafe context.wait(
            minimum: goal, most: depth + 1, into: scratch, timeout: timeout)
        if usesPool { pool.didSleep() }
        for i in 0..<max(0, Int(count)) {
            if let completion = unsafe take(scratch + i) {
                finished.push(completion.token, completion.result)
            }
        }
        if hasStagedHops { startHops() }
        switch count {
        case -EINTR: return .ready
        case ..<0: return .failed(errno: -count)
        default:
            guard let deadline, Int(count) < goal else { return .ready }
            // None at all is what the kernel answers when the time is up; some, also after a signal.
            return count == 0 || .monotonic() >= deadline ? .deadlinePassed : .ready
        }
    }

    static func nanoseconds(until deadline: IOInstant) -> Int64 {
        let now = IOInstant.monotonic()
        // Compared first: the difference to a deadline in the far past would wrap.
        return deadline <= now ? 0 : deadline.nanoseconds(since: now)
    }
}
