internal import IOEngineCore
internal import Synchronization

/// Counts, from any thread.
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    public init() {}
    public func add(_ number: Int = 1) { count.add(number, ordering: .relaxed) }
    public var value: Int { count.load(ordering: .relaxed) }
}

/// Takes a value out of a callback.
public final class Slot<Value: ~Copyable & Sendable>: Sendable {
    private let content = LockedValue<Value?>(nil)

    public init() {}

    public func put(_ value: consuming sending Value) {
        var box: Value? = value
        content.withLock { content in swap(&content, &box) }
    }

    /// Throws when nothing was put in.
    public func take() throws -> Value {
        var box: Value?
        content.withLock { content in swap(&content, &box) }
        guard let value = box.take() else { throw EmptySlot() }
        return value
    }

    public struct EmptySlot: Error {}
}
