internal import Glibc
internal import Synchronization

/// What the owner does, on its one thread.
extension HelperPool {
    /// Takes a request, to be handed over by ``start()``. No lock.
    package func stage(_ request: IORequest) {
        let slot = Int(request.token.slot)
        precondition(slot < depth, "slots of tokens are below the depth")
        let entry = unsafe entries + slot
        precondition(unsafe entry.pointee.place == .none, "one request a slot is in flight")
        unsafe entry.pointee.request = request
        append(Int32(slot), to: &staged, as: .staged)
        outstanding += 1
    }

    /// Lets the helpers have what was staged. Starts at most one thread here; helpers start the others.
    package func start() {
        if staged.isEmpty, !hasRoom { return }
        hasRoom = false
        lock.lock()
        queueStaged()
        let mustStart = !queue.isEmpty && idle == 0 && mayStart
        if mustStart { helpers += 1 }
        let mustWake = !queue.isEmpty && idle > 0
        lock.unlock()
        if mustWake { work.signal() }
        if mustStart { startHelper() }
    }

    /// Completions that can be taken; never too many, at times too few.
    package var ready: Int { outstanding == 0 ? 0 : finishedCount.load(ordering: .relaxed) }

    /// Moves completions out until there is no more room or none is left.
    package func take(into completions: inout OutputSpan<IOCompletion>) {
        if ready == 0 { return }
        lock.lock()
        while finished.first >= 0, !completions.isFull {
            let slot = finished.first
            remove(slot, from: &finished)
            let entry = unsafe entries + Int(slot)
            unsafe entry.pointee.place = .none
            unsafe completions.append(
                IOCompletion(token: entry.pointee.request.token, result: entry.pointee.result))
            outstanding -= 1
        }
        finishedCount.store(finished.count, ordering: .relaxed)
        lock.unlock()
    }

    /// Stops a request that no helper has begun. One that runs goes on, but its helper does not
    /// count towards the limit any more: call ``start()`` afterwards, before waiting.
    package func cancel(_ token: IOToken) -> IOCancellation {
        guard token.slot < UInt32(depth) else { return .unknown }
        let slot = Int32(token.slot)
        let entry = unsafe entries + Int(slot)
        lock.lock()
        defer { lock.unlock() }
        let place = unsafe entry.pointee.place
        guard place != .none, unsafe entry.pointee.request.token == token else { return .unknown }
        switch place {
        case .none, .finished: return .tooLate
        case .running:
            countAsStuck(slot)
            return .tooLate
        case .staged: remove(slot, from: &staged)
        case .queued: removeQueued(slot)
        }
        finish(slot, -Int(ECANCELED))
        return .cancelled
    }

    /// With the lock. Whoever cancels one may be about to cancel those behind it, which must not
    /// begin meanwhile: the next ``start()`` brings a helper in its place.
    private func countAsStuck(_ slot: Int32) {
        let entry = unsafe entries + Int(slot)
        guard unsafe !entry.pointee.isStuck, stuck < Self.stuckLimit else { return }
        unsafe entry.pointee.isStuck = true
        stuck += 1
        hasRoom = true
    }

    /// Waits until `count` completions can be taken, the deadline passes or ``wake()`` is called, in
    /// one system call. The wake-up is taken with the answer that says so.
    package func wait(for count: Int, until deadline: IOInstant?) -> IOWaitOutcome {
        lock.lock()
        defer { lock.unlock() }
        var isInTime = true
        while finished.count < count, !isWoken.load(ordering: .relaxed), isInTime {
            awaited = count
            isInTime = news.wait(lock, until: deadline)
        }
        awaited = 0
        if takeWakeUp() { return .woken }
        return isInTime || finished.count >= count ? .ready : .deadlinePassed
    }

    /// Takes a wake-up that has come. False: there is none. Never waits.
    package func takeWakeUp() -> Bool {
        // Acquire: pairs with the release in `wake`; what was done before it is seen.
        isWoken.load(ordering: .relaxed) && isWoken.exchange(false, ordering: .acquiring)
    }

    /// The owner is about to sleep elsewhere, where `notify` reaches it.
    ///
    /// - Returns: False if `count` completions are there already: do not sleep.
    package func willSleep(for count: Int) -> Bool {
        lock.lock()
        defer { lock.unlock() }
        if finished.count >= count { return false }
        awaited = count
        return true
    }

    /// The owner is awake again.
    package func didSleep() {
        lock.lock()
        awaited = 0
        lock.unlock()
    }

    /// Ends the wait that is going on or the next one. From any thread, at any time.
    package func wake() {
        lock.lock()
        // Release: pairs with the acquire in `takeWakeUp`. Under the lock, so that no sleeper
        // misses it.
        let mustSignal = !isWoken.exchange(true, ordering: .releasing) && awaited > 0
        lock.unlock()
        if mustSignal { news.signal() }
    }

    /// Forgets what was not begun, waits until helpers have finished what was, and ends them.
    ///
    /// - Returns: False if something did not end within ten waits of a second without any progress. Its
    ///   helper may still use the memory of its request, for ever.
    @discardableResult
    package func close() -> Bool {
        if isForked { return true }
        lock.lock()
        defer { lock.unlock() }
        isClosed = true
        // Whatever is queued or finished is left where it is: nobody takes it any more.
        queue = HelperQueue()
        work.broadcast()
        var seen = progress
        var idleWaits = 0
        while helpers > 0, idleWaits < 10 {
            let deadline = IOInstant.monotonic().advanced(by: .seconds(1))
            let isInTime = news.wait(lock, until: deadline)
            if progress != seen {
                seen = progress
                idleWaits = 0
            } else if !isInTime {
                idleWaits += 1
            }
        }
        // What it holds is given back now, not when the last thread has quite ended.
        notify = nil
        return running == 0
    }
}
