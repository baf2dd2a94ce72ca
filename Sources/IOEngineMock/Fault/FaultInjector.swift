internal import IOEngineCore
internal import Synchronization

/// The faults of a ``FaultyDriver``, to be changed while it runs. May be used from any thread.
public final class FaultInjector: Sendable {
    private struct State {
        var plan = FaultPlan()
        var random: SimulationRandom
        var releases = 0
        /// One for each driver that was asked for its waker.
        var wakers: [(driver: ObjectIdentifier, waker: IOWaker)] = []
    }

    private let state: LockedValue<State>

    /// - Parameter seed: What all chance comes from.
    public init(seed: UInt64, _ faults: [IOFault] = []) {
        var initial = State(random: SimulationRandom(seed: seed))
        for fault in faults { initial.plan.add(fault) }
        state = LockedValue(initial)
    }

    /// Adds a fault. Of several that fit a request, the first added decides.
    public func add(_ fault: IOFault) { state.withLock { $0.plan.add(fault) } }

    /// Ends all faults, but for requests that are stuck.
    public func removeAll() { state.withLock { $0.plan.removeAll() } }

    /// Lets stuck requests go on.
    public func releaseStuck() {
        let wakers = state.withLock { state in
            state.releases += 1
            return state.wakers.map(\.waker)
        }
        for waker in wakers { waker.wake() }
    }

    func effect(for request: IORequest) -> IOFault.Effect? {
        state.withLock { state in
            state.plan.effect(for: request, file: nil, &state.random)
        }
    }

    /// How often stuck requests were let go.
    var releases: Int { state.withLock { $0.releases } }

    func setWaker(_ waker: IOWaker, of driver: ObjectIdentifier) {
        state.withLock { state in
            state.wakers.removeAll { $0.driver == driver }
            state.wakers.append((driver, waker))
        }
    }

    func removeWaker(of driver: ObjectIdentifier) {
        state.withLock { state in state.wakers.removeAll { $0.driver == driver } }
    }

    func flip(bits: Int, ofFirst moved: Int, of request: IORequest) {
        state.withLock { state in
            RequestMemory(request).flip(bits: bits, ofFirst: moved, &state.random)
        }
    }
}
