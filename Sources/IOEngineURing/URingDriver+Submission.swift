internal import Glibc
public import IOEngineCore
public import Synchronization

extension URingDriver {
    @inlinable @inline(__always)
    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        // The expected case: the kernel takes everything, and this waits without a deadline.
        let pending = ring.unsubmitted
        if pending > 0, deadline == nil, !ring.isPolled, isListening || !wakeUp.isListenedTo {
            // More than is in flight never comes; with nothing in flight only a wake-up does.
            let wanted = max(0, min(minimum, max(1, inFlight)) &- Int(ring.ready))
            let answer = ring.enterPlainly(
                submit: pending, minimum: UInt32(truncatingIfNeeded: wanted))
            if answer == pending {
                return isListening && minimum > 0 && wasWoken ? tellOfWakeUp() : .ready
            }
        }
        return submitOtherwise(minimum, deadline)
    }

    /// Whether there is a wake-up that no wait has told of.
    @inlinable @inline(__always)
    var wasWoken: Bool { unsafe wakeUpCounter.pointee.load(ordering: .relaxed) != 0 }

    @usableFromInline
    mutating func tellOfWakeUp() -> IOWaitOutcome {
        unsafe wakeUpCounter.pointee.store(0, ordering: .relaxed)
        takeInternalEntries()
        return .woken
    }

    /// Takes the driver's own entries that come next: nobody need reap for the sake of those, and
    /// they would end the next wait.
    ///
    /// - Returns: Whether there were any.
    @discardableResult
    private mutating func takeInternalEntries() -> Bool {
        var tookAny = false
        while ring.ready > 0 {
            let entry = unsafe ring.completion(0).pointee
            guard InternalEntry.isInternal(entry.userData) else { break }
            noteInternal(entry.userData, entry.result)
            ring.advance(1)
            tookAny = true
        }
        return tookAny
    }

    @usableFromInline
    mutating func submitOtherwise(_ minimum: Int, _ deadline: IOInstant?) -> IOWaitOutcome {
        if minimum <= 0 { return handOver(0, deadline) }
        if missed.count > 0, !missed.isTimerSet {
            if ring.isFull { _ = ring.enter(minimum: 0, timeout: nil) }
            setTimer()
        }
        // Ends: each round takes entries of the driver's own, of which there is one for each cancellation and
        // one for a timer that becomes slower each time.
        while true {
            takeInternalEntries()
            // What was reaped between two waits ends this one.
            let outcome = handOver(wasWoken ? 0 : minimum, deadline)
            if case .failed = outcome { return outcome }
            let tookAny = takeInternalEntries()
            if wasWoken { return tellOfWakeUp() }
            guard outcome == .ready, tookAny, ring.ready == 0 else { return outcome }
        }
    }

    /// Hands over what is staged, and waits.
    private mutating func handOver(_ minimum: Int, _ deadline: IOInstant?) -> IOWaitOutcome {
        var goal = minimum
        if goal > 0, !isListening, wakeUp.isListenedTo {
            listen()
            // No entry to listen with: a wake-up would be lost in a wait.
            if !isListening { goal = 0 }
        }
        // More than is in flight never comes; with nothing in flight only a wake-up does.
        goal = min(goal, max(1, inFlight))
        var attempt = 0
        while attempt < URingDriver.maximumAttempts {
            let wanted = max(0, goal &- Int(ring.ready))
            let timeout = deadline.map(URingDriver.nanoseconds(until:))
            let pending = ring.unsubmitted
            let answer = ring.enter(
                minimum: UInt32(truncatingIfNeeded: wanted), timeout: wanted > 0 ? timeout : nil)
            if answer >= 0 {
                if ring.waitsForRoom { return waited(pending, wanted: goal, deadline) }
                if UInt32(answer) >= pending || ring.unsubmitted == 0 {
                    return isPassed(deadline, goal: goal) ? .deadlinePassed : .ready
                }
                // The kernel took fewer than there are, and then does not wait: go on with the rest,
                // which gets smaller each time.
                if answer > 0 { continue }
            }
            switch -answer {
            case 0, EAGAIN, EBUSY:
                // The kernel wants completions reaped, or is short of memory. Nothing is lost: what
                // it did not take is still staged.
                if ring.ready > 0 || goal == 0 { return .ready }
                if inFlight > Int(ring.unsubmitted) {
                    let answer = ring.waitForOne(timeout: timeout)
                    return answer == -ETIME ? .deadlinePassed : .ready
                }
                URingDriver.backOff(attempt)
                attempt += 1
            case EINTR:
                return .ready
            case ETIME:
                return .deadlinePassed
            default:
                return .failed(errno: -answer)
            }
        }
        return .failed(errno: EAGAIN)
    }

    /// Attempts in a row that made no progress with nothing in flight, before it becomes a failure.
    /// Together they back off for about a quarter of a second.
    private static var maximumAttempts: Int { 64 }

    private static func nanoseconds(until deadline: IOInstant) -> Int64 {
        let now = IOInstant.monotonic()
        // Compared first: the difference to a deadline in the far past would wrap.
        return deadline <= now ? 0 : deadline.nanoseconds(since: now)
    }

    /// Lets others run, longer each time: 1 us doubling up to 4 ms.
    private static func backOff(_ attempt: Int) {
        _ = usleep(1 << UInt32(min(attempt, 12)))
    }

    /// The kernel counts what it submitted as success, even if the wait then timed out.
    private func isPassed(_ deadline: IOInstant?, goal: Int) -> Bool {
        guard let deadline, goal > Int(ring.ready) else { return false }
        return .monotonic() >= deadline
    }

    /// With submission polling the kernel's thread takes the entries. A full queue waits for room, so
    /// that whoever found it full finds room afterwards.
    private mutating func waited(
        _ pending: UInt32, wanted goal: Int, _ deadline: IOInstant?
    ) -> IOWaitOutcome {
        if goal == 0, pending > 0, ring.isFull { _ = ring.waitForRoom() }
        return isPassed(deadline, goal: goal) ? .deadlinePassed : .ready
    }

    /// Has the ring read the eventfd, so that a wake-up is a completion like any other.
    private mutating func listen() {
        guard let entry = unsafe ring.nextEntry() ?? makeRoom() else { return }
        unsafe entry.pointee = URingEntry(listeningTo: wakeUp.descriptor, wakeUpCounter)
        unsafe entry.pointee.userData = InternalEntry.wakeUp
        isListening = true
    }

    @inlinable @inline(__always)
    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        if ring.hasOverflown { flushOverflow() }
        let ready = ring.ready
        if ready == 0 { return }
        var index: UInt32 = 0
        var taken = 0
        unsafe completions.withUnsafeMutableBufferPointer { room, count in
            while index != ready && count < room.count {
                let entry = unsafe ring.completion(index)
                index &+= 1
                let data = unsafe entry.pointee.userData
                if InternalEntry.isInternal(data) {
                    noteInternal(data, unsafe entry.pointee.result)
                    continue
                }
                let token = IOToken(rawValue: data)
                var result = unsafe Int(entry.pointee.result)
                if result < 0 { result = answer(token, result) }
                unsafe (room.baseAddress.unsafelyUnwrapped + count).initialize(
                    to: IOCompletion(token: token, result: result))
                count &+= 1
                taken &+= 1
            }
            if cancellations | missed.count != 0 {
                unsafe noteFinished(
                    UnsafeBufferPointer(rebasing: room[count &- taken..<count]))
            }
        }
        inFlight &-= taken
        ring.advance(index)
    }

    /// Where the kernel can start no worker (RLIMIT_NPROC, a cgroup's pids.max), it cancels by itself what
    /// needs one. That is EAGAIN, as of other drivers that can start no thread. Where a thread can be
    /// started, it is the file system that answered ECANCELED, and other drivers hand it over, too.
    @usableFromInline
    func answer(_ token: IOToken, _ result: Int) -> Int {
        guard result == -Int(ECANCELED), Int(token.slot) < depth,
            cancelled[Int(token.slot)] != token.rawValue
        else { return result }
        return HelperThread.start("ioengine-probe") {} == 0 ? result : -Int(EAGAIN)
    }

    /// Cannot happen while every request has its room; if it does, entering flushes it.
    @usableFromInline
    mutating func flushOverflow() {
        ring.overflows &+= 1
        _ = ring.enter(minimum: 0, timeout: nil)
    }

    @usableFromInline
    mutating func noteInternal(_ data: UInt64, _ result: Int32) {
        if data == InternalEntry.wakeUp {
            isListening = false
        } else if data == InternalEntry.timer {
            missed.isTimerSet = false
            cancelMissed()
        } else if let slot = InternalEntry.cancelledSlot(data) {
            cancellations -= 1
            if result == -ENOENT, slot < depth { noteMissed(slot) }
        }
    }

    /// Cancels everything and waits for it, in bounded steps. False: something did not settle.
    static func settle(_ ring: inout Ring, outstanding: Int) -> Bool {
        var outstanding = outstanding
        if outstanding == 0 { return true }
        // Ten seconds at most without any progress, however many signals end a wait.
        let patience = Duration.seconds(10)
        var deadline = IOInstant.monotonic().advanced(by: patience)
        var pause: Int64 = 1_000_000
        var mustAsk = true
        while outstanding > 0, IOInstant.monotonic() < deadline {
            // Some requests can be cancelled at times only: they are asked again, less and less often. A queue
            // full of staged requests has no room for that until they are taken.
            if mustAsk, let entry = unsafe ring.nextEntry() ?? ring.flushedEntry() {
                unsafe entry.pointee = URingEntry(
                    cancelling: 0, flags: URingConstants.cancelAll | URingConstants.cancelAny)
                outstanding += 1
            }
            mustAsk = false
            let answer = ring.enter(minimum: 1, timeout: pause)
            if ring.ready == 0 {
                mustAsk = answer == -ETIME
                if answer < 0, answer != -EINTR, answer != -ETIME { backOff(6) }
                pause = min(pause * 2, 1_000_000_000)
            }
            while ring.ready > 0 {
                let data = unsafe ring.completion(0).pointee.userData
                if data != InternalEntry.cancellation {
                    deadline = IOInstant.monotonic().advanced(by: patience)
                }
                outstanding -= 1
                ring.advance(1)
            }
        }
        return outstanding <= 0
    }
}
