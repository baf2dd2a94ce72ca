import BasicContainers
import IOEngineMock
import Synchronization
import SystemPackage

@testable import IOEngineCore

/// A context without a thread of its own: the test goes around its loop, and plays the other threads,
/// which only ever touch `shared`.
@safe
final class HandDrivenContext<Callback: IOCallback> {
    typealias Loop = ContextLoop<Callback, MockDriver>

    let shared: ContextShared<Callback>
    let depth: Int
    /// Freed by ``end()``.
    let side: UnsafeMutablePointer<Loop>
    private(set) var hasEnded = false

    init(
        _ script: Script, depth: Int? = nil, _ configuration: IOContextConfiguration = .init(),
        onSettled: (@Sendable (IOSettlement) -> Void)? = nil
    ) throws {
        var configuration = configuration
        configuration.idleSpin = .zero
        self.depth = depth ?? script.depth
        shared = try ContextShared<Callback>.make(depth: self.depth, configuration)
        let started = Reply<Result<IOCapabilities, IOError>>()
        let side = unsafe Loop.begin(
            self.depth, shared, configuration, onSettled,
            { () throws(IOError) in script.makeDriver() }, started)
        guard let side = unsafe side else {
            _ = try started.wait()?.get()
            throw IOError(operation: .setUp, errno: .canceled)
        }
        unsafe self.side = side
    }

    // MARK: The loop's thread

    /// Once around. False: everything has ended, and the loop with it.
    func cycle() -> Bool {
        if unsafe Loop.cycle(side) { return true }
        unsafe Loop.end(side)
        hasEnded = true
        return false
    }

    /// Goes around until the end, at most so often.
    func finish(_ cycles: Int = 1000) -> Bool {
        for _ in 0..<cycles where !cycle() { return true }
        return false
    }

    func submitOnLoop(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits = .none
    ) -> IOSubmission<Callback> {
        unsafe side.pointee.submit(event, limits)
    }

    func submitOnLoop(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) -> IOChainSubmission<Callback> {
        unsafe side.pointee.submit(chain: chain, limits)
    }

    func cancelOnLoop(_ ticket: IOTicket) -> IOCancellation { unsafe Loop.cancel(ticket, side) }
    func cancelAllOnLoop(_ scope: EventScope) -> Int { unsafe Loop.cancelAll(scope, side) }
    var snapshot: IOContextSnapshot { unsafe side.pointee.snapshot() }

    var hasCalledAll: Bool { shared.allCalled.load(ordering: .relaxed) }

    // MARK: Producers

    func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits = .none
    ) -> IOSubmission<Callback> {
        switch shared.queue.claim(1) {
        case .position(let position):
            shared.queue.fill(position, QueuedEvent(event, limits))
            shared.wake()
            return .accepted(IOTicket(queued: position))
        case .closed: return .closed(event)
        case .full: return .full(event)
        }
    }

    func submit(
        chain: consuming UniqueArray<IOEvent<Callback>>, _ limits: IOLimits = .none
    ) -> IOChainSubmission<Callback> {
        let count = chain.count
        switch shared.queue.claim(count) {
        case .position(let position):
            shared.fill(position, chain: &chain, limits)
            shared.wake()
            return .accepted(IOTickets(queued: position..<position + count))
        case .closed: return .closed(chain)
        case .full: return .full(chain)
        }
    }

    // MARK: Workers

    /// Runs one callback that was handed to the workers. False: there is none.
    func runWorker() -> Bool { shared.runOne() }

    // MARK: Everybody

    /// As ``IOContext/shutdown()`` does, without waiting.
    func shutDown(deadline: Int64 = .max) { shared.beginShutdown(deadline: deadline) }
}
