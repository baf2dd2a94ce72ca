import IOEngineCore
import Synchronization
import SystemPackage

/// Hears what a ``TimedScript`` does, and plays the other threads when it is asked to.
protocol ScriptWitness: AnyObject {
    /// The driver took a request.
    func staged(_ request: IORequest)
    /// The kernel is done with a request.
    func finished(_ request: IORequest, _ result: Int)
    /// The loop's thread is in the driver: other threads may act.
    func meanwhile()
    /// The loop sleeps, and nothing ends that by itself. False: no other thread has anything left to do.
    func whileAsleep() -> Bool
}

/// A script with a clock of its own, which stands still but for waits: those move it to the next
/// completion or the deadline, whichever is first. Requests take time; some are stuck until they are
/// thawed; cancellations stop them, or not, or in the middle; and the driver may die.
///
/// Each byte of a file is a function of its position, ``byte(at:)``: reads write it to memory, writes
/// are checked against it. So a request whose memory was freed is seen by a sanitizer.
final class TimedScript: Script {
    /// What a cancellation does to a request.
    enum Stopping: CaseIterable {
        /// ECANCELED.
        case obeys
        /// Ends with some of its bytes moved.
        case partly
        /// Ends well all the same.
        case succeeds
        /// Nothing: it takes its time, or stays stuck.
        case never
    }

    struct Pending {
        var request: IORequest
        /// Not handed to the kernel yet.
        var isStaged = true
        /// When it is finished; `.max`: it is stuck.
        var due: Int64
        var stopping: Stopping
        var stopAsked = false
        var result: Int?
    }

    weak var witness: (any ScriptWitness)?
    var clock: Int64 = 1_000_000
    var requests: [Pending] = []
    /// The longest that a request takes, in nanoseconds.
    var longest = 2000
    /// Percent of requests that are stuck.
    var stuck = 0
    var stoppings: [Stopping] = [.obeys]
    /// From now on nothing is submitted and nothing finishes.
    var isDead = false
    /// From now on every request ends with ENOTRECOVERABLE.
    var hasCrashed = false
    /// Submits that fail although the driver lives; one is taken each time.
    var failures = 0
    /// Submits for which the driver stays full.
    var fullFor = 0
    /// Percent of stagings that begin such a time.
    var fills = 0
    /// A wait had nothing to wait for: the loop would sleep for ever.
    private(set) var sleptForEver = false
    private let isWoken = WakeFlag()

    final class WakeFlag: Sendable {
        let value = Atomic<Bool>(false)
    }

    /// What a file has at a position.
    static func byte(at position: Int) -> UInt8 { UInt8(truncatingIfNeeded: position &* 37 &+ 11) }

    override var now: Int64 { clock }

    override var waker: IOWaker {
        IOWaker { [isWoken] in isWoken.value.store(true, ordering: .relaxed) }
    }

    // MARK: Driver

    override func stage(_ request: IORequest) -> IOStaging {
        witness?.meanwhile()
        if fullFor > 0 { return .full }
        if chance.happens(fills) {
            fullFor = 1 + chance.below(4)
            return .full
        }
        if Int(request.token.slot) >= depth { violations.append("slot out of range") }
        if requests.contains(where: { $0.request.token.slot == request.token.slot }) {
            violations.append("slot \(request.token.slot) is in use")
        }
        let isStuck = chance.happens(stuck)
        requests.append(
            Pending(
                request: request,
                due: isStuck ? .max : clock + Int64(chance.below(longest + 1)),
                stopping: stoppings[chance.below(stoppings.count)]))
        witness?.staged(request)
        return .queued
    }

    override func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        submits += 1
        witness?.meanwhile()
        if isDead { return .failed(errno: Errno.ioError.rawValue) }
        if failures > 0 {
            failures -= 1
            return .failed(errno: Errno.noMemory.rawValue)
        }
        if fullFor > 0 { fullFor -= 1 }
        for i in 0..<requests.count { requests[i].isStaged = false }
        if hasCrashed {
            while !requests.isEmpty { finish(0, -Int(Errno.notRecoverable.rawValue)) }
        }
        if chance.happens(stale), let token = old.randomElement(using: &chance) { repeats(token) }
        finishDue()
        if minimum == 0 { return .ready }
        return wait(deadline)
    }

    private func wait(_ deadline: IOInstant?) -> IOWaitOutcome {
        while true {
            if isWoken.value.exchange(false, ordering: .relaxed) || !finished.isEmpty {
                return .ready
            }
            if wakesSpuriously, chance.happens(20) { return .ready }
            if chance.happens(30) {
                witness?.meanwhile()
                if isDead { return .failed(errno: Errno.ioError.rawValue) }
                continue
            }
            let next = earliest
            if let deadline, deadline.nanoseconds <= next {
                clock = max(clock, deadline.nanoseconds)
                finishDue()
                return .deadlinePassed
            }
            if next < .max {
                clock = max(clock, next)
                finishDue()
                continue
            }
            if let witness, witness.whileAsleep() { continue }
            if isDead { return .failed(errno: Errno.ioError.rawValue) }
            sleptForEver = true
            return .ready
        }
    }

    override func cancel(_ token: IOToken) -> IOCancellation {
        witness?.meanwhile()
        guard let index = requests.firstIndex(where: { $0.request.token == token }) else {
            return finished.contains { $0.token == token } ? .tooLate : .unknown
        }
        requests[index].stopAsked = true
        let soon = clock + Int64(chance.below(300))
        switch requests[index].stopping {
        case .obeys:
            let errno = -Int(Errno.canceled.rawValue)
            if requests[index].isStaged {
                finish(index, errno)
                return .cancelled
            }
            requests[index].result = errno
            requests[index].due = min(requests[index].due, soon)
            return .requested
        case .partly:
            let length = requests[index].request.length
            if requests[index].request.action.isTransfer, length > 1 {
                requests[index].result = 1 + chance.below(length - 1)
            }
            requests[index].due = min(requests[index].due, soon)
            return .requested
        case .succeeds:
            requests[index].due = min(requests[index].due, soon)
            return chance.happens(50) ? .requested : .tooLate
        case .never:
            return .tooLate
        }
    }

    // MARK: Kernel

    /// When the next request is finished; `.max`: none is, by itself.
    private var earliest: Int64 {
        var earliest = Int64.max
        for pending in requests where !pending.isStaged { earliest = min(earliest, pending.due) }
        return earliest
    }

    private func finishDue() {
        var index = 0
        while index < requests.count {
            if requests[index].isStaged || requests[index].due > clock {
                index += 1
            } else {
                finish(index, requests[index].result)
            }
        }
    }

    /// Ends a request: as `result` says, else as the script decides.
    func finish(_ index: Int, _ result: Int? = nil) {
        let request = requests.remove(at: index).request
        let answer = result ?? decide(request)
        if answer > 0, request.action.isTransfer { move(request, answer) }
        finished.append(IOCompletion(token: request.token, result: answer))
        if stale > 0 { old.append(request.token) }
        witness?.finished(request, answer)
    }

    /// A completion comes again.
    private func repeats(_ token: IOToken) {
        if requests.contains(where: { $0.request.token == token }) { return }
        if finished.contains(where: { $0.token == token }) { return }
        finished.append(IOCompletion(token: token, result: chance.below(200) - 50))
    }

    private func decide(_ request: IORequest) -> Int {
        switch decide(&chance, request) {
        case .whole, .excess: request.action.isTransfer ? request.length : 0
        case .short(let most): request.action.isTransfer ? min(most, request.length) : 0
        case .errno(let errno): -Int(errno.rawValue)
        }
    }

    private func move(_ request: IORequest, _ count: Int) {
        guard let address = unsafe request.address else { return }
        var position = Int(request.offset)
        var left = count
        func touch(_ base: UnsafeMutableRawPointer, _ length: Int) {
            for i in 0..<min(left, length) {
                let wanted = TimedScript.byte(at: position + i)
                if request.action.isRead {
                    unsafe base.storeBytes(of: wanted, toByteOffset: i, as: UInt8.self)
                } else if unsafe base.load(fromByteOffset: i, as: UInt8.self) != wanted {
                    violations.append("a write at \(position) has the wrong bytes")
                    return
                }
            }
            position += min(left, length)
            left -= min(left, length)
        }
        if request.action.isVectored {
            let vectors = unsafe address.assumingMemoryBound(to: IOVector.self)
            for i in 0..<Int(request.vectorCount) {
                unsafe touch(vectors[i].base, vectors[i].count)
            }
        } else {
            unsafe touch(address, request.length)
        }
    }

    /// What is stuck is no longer; what would not stop ends now.
    func thaw() {
        for i in 0..<requests.count where requests[i].due == .max { requests[i].due = clock }
    }

    /// Where the request of an event is, by its priority.
    func pending(_ priority: UInt16) -> Pending? {
        requests.first { $0.request.priority.rawValue == priority }
    }
}
