internal import Synchronization

/// A fault of the compiler, reduced: optimised code of Swift 6.3.1 does not run the `deinit` of a generic
/// non-copyable value of another module that is ended through a pointer in generic code. A value that is moved
/// out of the pointer ends as it should. See Architecture, "What the compiler does".
public enum SkippedDeinit {
    private static let endings = Atomic<Int>(0)

    /// How often a ``Value`` has ended.
    public static var count: Int { endings.load(ordering: .relaxed) }

    /// A value whose end is counted.
    public struct Value<Content>: ~Copyable {
        @usableFromInline let content: Content

        @usableFromInline
        init(_ content: Content) { self.content = content }

        deinit { endings.add(1, ordering: .relaxed) }
    }

    /// Ends its value as the fault wants it.
    @safe
    public struct Deinitializing<Content>: ~Copyable {
        @usableFromInline let place: UnsafeMutablePointer<Value<Content>>

        @inlinable
        public init(_ content: Content) {
            unsafe place = .allocate(capacity: 1)
            unsafe place.initialize(to: Value(content))
        }

        @inlinable
        deinit {
            unsafe place.deinitialize(count: 1)
            unsafe place.deallocate()
        }
    }

    /// Ends its value as this package does.
    @safe
    public struct Moving<Content>: ~Copyable {
        @usableFromInline let place: UnsafeMutablePointer<Value<Content>>

        @inlinable
        public init(_ content: Content) {
            unsafe place = .allocate(capacity: 1)
            unsafe place.initialize(to: Value(content))
        }

        @inlinable
        deinit {
            _ = unsafe place.move()
            unsafe place.deallocate()
        }
    }
}
