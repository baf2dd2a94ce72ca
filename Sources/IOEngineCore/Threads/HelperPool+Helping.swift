internal import CLinux
internal import Glibc
internal import Synchronization

/// What helpers do.
extension HelperPool {
    /// Starts a helper that is counted already.
    func startHelper() {
        let answer = HelperThread.start(name) { [self] in help() }
        if answer == 0 { return }
        lock.lock()
        helpers -= 1
        // Nobody is left to do what is queued. The loop may ask again later, but not for what a
        // filter refuses.
        if helpers == stuck {
            let result = -Int(SystemCall.mayBeRefusal(answer) ? answer : EAGAIN)
            while let slot = takeQueued() { finish(slot, result) }
            tell()
        }
        lock.unlock()
    }

    /// A helper's life.
    private func help() {
        var priority = ThreadPriority()
        lock.lock()
        while let slot = nextQueued() {
            let entry = unsafe entries + Int(slot)
            unsafe entry.pointee.place = .running
            running += 1
            // Whoever takes a request sees to it that somebody comes for the next.
            let mustWake = !queue.isEmpty && idle > 0
            let mustStart = !queue.isEmpty && idle == 0 && mayStart
            if mustStart { helpers += 1 }
            lock.unlock()
            if mustWake { work.signal() }
            if mustStart { startHelper() }
            let request = unsafe entry.pointee.request
            // As in the kernel's own queues, only transfers have one.
            let refusal = priority.set(request.action.isTransfer ? request.priority : .inherited)
            let result = refusal == 0 ? perform(request) : refusal
            lock.lock()
            running -= 1
            progress += 1
            if unsafe entry.pointee.isStuck {
                unsafe entry.pointee.isStuck = false
                stuck -= 1
            }
            finish(slot, result)
            if isClosed { news.broadcast() } else { tell() }
            // It was replaced while it was stuck.
            if helpers - stuck > limit { break }
        }
        helpers -= 1
        progress += 1
        if isClosed { news.broadcast() }
        lock.unlock()
    }

    /// With the lock, which is let go of meanwhile: wakes the owner if what it waits for is there.
    private func tell() {
        guard awaited > 0, finished.count >= awaited else { return }
        awaited = 0
        let notify = self.notify
        lock.unlock()
        if let notify { notify() } else { news.signal() }
        lock.lock()
    }

    /// The next request, taken out, waited for with the lock let go of. Nil: the helper's time is
    /// over.
    private func nextQueued() -> Int32? {
        while queue.isEmpty {
            if isClosed { return nil }
            let deadline = IOInstant.monotonic().advanced(by: idleTime)
            idle += 1
            let isInTime = work.wait(lock, until: deadline)
            idle -= 1
            if !isInTime, queue.isEmpty { return nil }
        }
        return takeQueued()
    }

    /// A request has its result. With the lock.
    func finish(_ slot: Int32, _ result: Int) {
        unsafe entries[Int(slot)].result = result
        append(slot, to: &finished, as: .finished)
        finishedCount.store(finished.count, ordering: .relaxed)
    }
}

/// The IO priority of the thread that it is used on, as it was and as requests want it.
private struct ThreadPriority {
    private var own: Int?
    private var current = IOPriority.inherited

    /// IOPRIO_WHO_PROCESS; 0 is the calling thread.
    private static let process = 1

    /// Makes it what a request asks for. 0, or a negative errno.
    mutating func set(_ wanted: IOPriority) -> Int {
        if wanted == current { return 0 }
        if own == nil { own = max(0, linux_call(Int(SYS_ioprio_get), Self.process, 0, 0)) }
        let value = wanted == .inherited ? own ?? 0 : Int(wanted.rawValue)
        if linux_call(Int(SYS_ioprio_set), Self.process, 0, value) < 0 { return -Int(errno) }
        current = wanted
        return 0
    }
}
