import IOEngineCore
import IOEngineMock
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
/// Each byte of the file is a function of its position, ``content(at:)``, and each write must leave it
/// so.
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
    /// Nanoseconds.
    var clock: Int64 = 1_000_000 {
        didSet { if clock > oldValue { device.advanceClock(by: .nanoseconds(clock - oldValue)) } }
    }
    /// What is staged or in flight, in the order in which it came.
    var requests: [Pending] = []
    /// What broke the contract between loop and driver, beside what the mock notes.
    private var ownViolations: [String] = []
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

    /// What the file has at a position.
    static func content(at position: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: position &* 37 &+ 11)
    }

    /// Longer than any place of an event.
    private static let contents = (0..<1 << 18).map(content)

    override func makeDevice() -> MockDevice {
        let device = super.makeDevice()
        device.advanceClock(by: .nanoseconds(clock))
        return device
    }

    override func makeFile() -> IODescriptor { device.makeFile(Self.contents) }

    override var violations: [String] { super.violations + ownViolations }

    // MARK: Driver

    override func stage(_ request: IORequest, _ queue: MockQueue) -> IOStaging {
        witness?.meanwhile()
        if fullFor > 0 { return .full }
        if chance.happens(fills) {
            fullFor = 1 + chance.below(4)
            return .full
        }
        guard queue.stage(placed(request)) == .queued else {
            violate("more than the depth at the driver")
            return .full
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

    override func submit(
        _ queue: MockQueue, minimum: Int, deadline: IOInstant?
    ) -> IOWaitOutcome {
        witness?.meanwhile()
        if isDead { return .failed(errno: Errno.ioError.rawValue) }
        if failures > 0 {
            failures -= 1
            return .failed(errno: Errno.noMemory.rawValue)
        }
        if fullFor > 0 { fullFor -= 1 }
        queue.take()
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
            if queue.takeWakeUp() { return .woken }
            if !queue.finished.isEmpty { return .ready }
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

    override func cancel(_ token: IOToken, _ queue: MockQueue) -> IOCancellation {
        witness?.meanwhile()
        guard let index = requests.firstIndex(where: { $0.request.token == token }) else {
            return queue.finished.contains { $0.token == token } ? .tooLate : .unknown
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
        let moves = answer > 0 && request.action.isTransfer
        let given = queue.finish(request.token, moves ? .moves(answer) : .result(answer))
        if given != answer { violate("\(request.action) moved \(given as Any)") }
        if moves, request.action.isWrite { check(request, answer) }
        if stale > 0 { old.append(request.token) }
        witness?.finished(request, answer)
    }

    /// A completion comes again.
    private func repeats(_ token: IOToken) {
        if queue.holds(token) { return }
        queue.deliver(IOCompletion(token: token, result: chance.below(200) - 50))
    }

    private func decide(_ request: IORequest) -> Int {
        switch decide(&chance, request) {
        case .whole, .excess: request.action.isTransfer ? request.length : 0
        case .short(let most): request.action.isTransfer ? min(most, request.length) : 0
        case .errno(let errno): -Int(errno.rawValue)
        }
    }

    /// A write left the file as it was.
    private func check(_ request: IORequest, _ count: Int) {
        let place = Int(request.offset)..<Int(request.offset) + count
        if device.contents(of: file, place) != Array(Self.contents[place]) {
            violate("a write at \(request.offset) has the wrong bytes")
        }
    }

    /// What is stuck is no longer; what would not stop ends now.
    func thaw() {
        for i in 0..<requests.count where requests[i].due == .max { requests[i].due = clock }
    }

    /// Notes what must not be.
    func violate(_ what: String) { ownViolations.append(what) }

    /// Where the request of an event is, by its priority.
    func pending(_ priority: UInt16) -> Pending? {
        requests.first { $0.request.priority.rawValue == priority }
    }
}
