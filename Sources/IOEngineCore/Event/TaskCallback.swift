/// The callback for contexts whose events tasks await: ``IOContext/perform(_:limits:)`` makes it.
///
/// ```swift
/// let context = try IOContext<TaskCallback, URingDriver>(depth: 32) { () throws(IOError) in
///     try URingDriver(depth: 32)
/// }
/// let event = try await context.perform(.read(file, into: IOBuffer(capacity: 4096), at: 0))
/// print(try event.get())
/// ```
@frozen
public struct TaskCallback: ~Copyable, IOAwaitableCallback {
    @usableFromInline let awaiter: IOAwaiter<TaskCallback>

    @inlinable
    public init(resuming awaiter: consuming IOAwaiter<TaskCallback>) {
        self.awaiter = awaiter
    }

    @inlinable
    public consuming func call(
        _ event: consuming IOEvent<TaskCallback>,
        _ submitter: borrowing IOSubmitter<TaskCallback>
    ) {
        awaiter.resume(returning: event)
    }
}

extension ClosureCallback: IOAwaitableCallback {
    /// Makes the callback of an event that a task awaits. Costs two allocations.
    public init(resuming awaiter: consuming IOAwaiter<ClosureCallback>) {
        let held = HeldAwaiter(awaiter)
        self.init { event in held.resume(returning: event) }
    }
}

/// An awaiter that a closure can capture.
private final class HeldAwaiter: @unchecked Sendable {
    // Unchecked: the closure of a callback runs once.
    private var awaiter: IOAwaiter<ClosureCallback>?

    init(_ awaiter: consuming IOAwaiter<ClosureCallback>) { self.awaiter = consume awaiter }

    func resume(returning event: consuming IOEvent<ClosureCallback>) {
        if let awaiter = awaiter.take() { awaiter.resume(returning: event) }
    }
}
