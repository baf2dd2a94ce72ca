internal import Glibc
public import IOEngineCore

extension ThreadPoolDriver {
    public mutating func stage(_ request: IORequest) -> IOStaging {
        guard inFlight < depth else { return .full }
        inFlight &+= 1
        if request.action == .noOperation {
            finished.push(request.token, 0)
        } else if request.isAttemptable {
            attempts.append(request)
        } else {
            pool.stage(request)
        }
        return .queued
    }

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        // First what must hop, so that others work on it while this thread tries the rest.
        pool.start()
        if attempts.count > 0 { attempt() }
        // More than is in flight never comes; with nothing in flight only a wake-up does.
        let goal = min(minimum, max(1, inFlight)) &- finished.count
        if goal <= 0 { return minimum > 0 && pool.takeWakeUp() ? .woken : .ready }
        systemCalls &+= 1
        return pool.wait(for: goal, until: deadline)
    }

    /// Tries what may need no waiting; the pool gets what does.
    private mutating func attempt() {
        for index in 0..<attempts.count {
            let request = attempts[index]
            systemCalls &+= 1
            if let result = request.attempt() {
                finished.push(request.token, result)
            } else {
                pool.stage(request)
            }
        }
        attempts.removeAll()
        pool.start()
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        let room = completions.freeCapacity
        finished.pop(into: &completions)
        pool.take(into: &completions)
        inFlight &-= room &- completions.freeCapacity
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        if attempts.remove(token) {
            finished.push(token, -Int(ECANCELED))
            return .cancelled
        }
        return finished.contains(token) ? .tooLate : pool.cancel(token)
    }
}
