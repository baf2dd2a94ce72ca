internal import IOEngineCore
internal import Synchronization

/// Whether somebody woke a layer. A layer that waits for its base several times within one wait of its
/// own could not tell a wake-up from a completion otherwise, and would lose it.
final class LayerWaking: Sendable {
    private let isSet = Atomic<Bool>(false)

    /// Wakes the layer and, so that the layer gets to see it, its base.
    func waker(over base: IOWaker) -> IOWaker {
        IOWaker { [self] in
            // Release: pairs with the acquire in `take`.
            isSet.store(true, ordering: .releasing)
            base.wake()
        }
    }

    /// Takes a wake-up that has come.
    func take() -> Bool {
        isSet.load(ordering: .relaxed) && isSet.exchange(false, ordering: .acquiring)
    }
}
