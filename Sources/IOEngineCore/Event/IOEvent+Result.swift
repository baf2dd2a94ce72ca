public import BasicContainers
public import SystemPackage

extension IOEvent where Callback: ~Copyable {
    /// Whether there is nothing left to do: everything moved, the file's end, or a failure. False
    /// before the event is finished and after a short transfer that was handed over.
    @inlinable
    public var isDone: Bool {
        status.contains(.done)
            || (action.isTransfer && wantedLength > 0 && movedLength == wantedLength)
    }

    /// Bytes moved, or what went wrong. A read that ends at the end of the file succeeds with fewer
    /// bytes than asked, 0 at or past the end. `transferred` tells what was moved before a failure.
    @inlinable
    public var result: Result<Int, IOError> {
        failure.isNone ? .success(transferred) : .failure(error)
    }

    /// Bytes moved, thrown form of ``result``.
    @inlinable
    public func get() throws(IOError) -> Int {
        if !failure.isNone { throw error }
        return transferred
    }

    /// The errno of the failure, nil if there is none. Cheaper than `result`.
    @inlinable
    public var errno: Errno? { failure.isNone ? nil : Errno(rawValue: failure.errno) }

    /// False if the engine had to give the request up while the kernel may still work on it: the
    /// event then has no buffer.
    @inlinable
    public var isSettled: Bool { !status.contains(.abandoned) }

    @usableFromInline
    var error: IOError {
        IOError(
            failure, action: action, descriptor: descriptor, offset: offset, length: length,
            transferred: transferred)
    }

    /// Makes the event new, so that submitting it starts from the beginning, with the same buffer.
    ///
    /// - Parameter offset: Bytes from the start of the file; nil: where it was.
    @inlinable
    public mutating func restart(at offset: Int64? = nil) {
        if let offset { self.offset = offset }
        movedLength = 0
        clearOutcome()
    }

    /// Forgets how it ended. Writes only what there is to forget.
    @inlinable
    mutating func clearOutcome() {
        if !failure.isNone { failure = .none }
        if !status.isDisjoint(with: [.done, .abandoned]) { status.subtract([.done, .abandoned]) }
    }

    /// Takes the buffers of a vectored event out; none if there are none.
    @inlinable
    public mutating func takeBuffers() -> UniqueArray<IOBuffer> {
        vectored?.take() ?? UniqueArray<IOBuffer>()
    }

    /// Lets `body` look at and change the buffers of a vectored event.
    @inlinable
    public mutating func withBuffers<R: ~Copyable, E: Error>(
        _ body: (inout UniqueArray<IOBuffer>) throws(E) -> R
    ) throws(E) -> R {
        guard let vectored else {
            var none = UniqueArray<IOBuffer>()
            return try body(&none)
        }
        return try body(&vectored.buffers)
    }

    /// It was to be submitted again, and nothing takes it any more: its callback hears of that.
    @usableFromInline
    consuming func completeRefused(_ submitter: borrowing IOSubmitter<Callback>) {
        failure = .cancelled
        status.insert(.done)
        complete(submitter)
    }

    /// Calls the callback, if there is one, with the finished event.
    @inlinable
    consuming func complete(_ submitter: borrowing IOSubmitter<Callback>) {
        guard let callback = self.callback.take() else { return }
        callback.call(self, submitter)
    }
}

extension IOEvent where Callback == ClosureCallback {
    /// Sets the callback to a closure.
    @inlinable
    public consuming func onCompletion(
        _ body: @escaping @Sendable (consuming IOEvent<ClosureCallback>) -> Void
    ) -> IOEvent {
        self.callback = ClosureCallback(body)
        return self
    }
}
