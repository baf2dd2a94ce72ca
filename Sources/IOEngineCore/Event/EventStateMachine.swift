/// The life of an event between its acceptance and its hand-over, without any IO: completions go in,
/// what to do next comes out.
///
/// ```
///             accept              stage                completed
///   vacant ───────────▶ waiting ─────────▶ inFlight ───────────────▶ finished ──▶ vacant
///                        │  ▲  ▲              │  │                       ▲          ▲
///                   hold │  │  └ next, again ─┘  │ abandon               │          │
///                        ▼  │ release            └────────▶ abandoned ───┼─ settled ┘
///                        held ──────────── refuse ───────────────────────┘
/// ```
@frozen @usableFromInline
struct EventStateMachine: Equatable, Sendable {
    @frozen @usableFromInline
    enum State: UInt8, CaseIterable, Sendable {
        /// The slot is free.
        case vacant
        /// Accepted; it begins when something else has ended: a sync, a member of a chain, an append.
        case held
        /// Accepted; its next request is not with the driver yet.
        case waiting
        /// The driver has a request of it.
        case inFlight
        /// Ready to be handed over.
        case finished
        /// Handed over without its memory, which the driver's request still uses.
        case abandoned
    }

    /// What must be known of the event. The machine never changes it.
    @frozen @usableFromInline
    struct Traits: OptionSet, Sendable {
        @usableFromInline let rawValue: UInt8
        @inlinable init(rawValue: UInt8) { self.rawValue = rawValue }
        /// Moves bytes.
        @inlinable static var transfer: Self { Self(rawValue: 1) }
        @inlinable static var write: Self { Self(rawValue: 2) }
        /// Appends or is atomic: one request, whatever it moves.
        @inlinable static var single: Self { Self(rawValue: 4) }
        /// Hands short transfers over.
        @inlinable static var handsOver: Self { Self(rawValue: 8) }
        /// Asked for EAGAIN.
        @inlinable static var noWait: Self { Self(rawValue: 16) }
        /// For the loop: the next request may block, because an inline attempt answered EAGAIN.
        @inlinable static var mayBlock: Self { Self(rawValue: 32) }
        /// For the loop: its number's record belongs to another owner of that number. It holds its
        /// own descriptor object, if it has one, by itself.
        @inlinable static var isGuest: Self { Self(rawValue: 64) }
        /// Cancelled, or past its deadline: no further request of it is made.
        @inlinable static var stopping: Self { Self(rawValue: 128) }
    }

    /// What the loop does after a completion.
    @usableFromInline
    enum Step: Equatable {
        /// Hand the event over as a success.
        case finish
        /// Hand it over as a failure.
        case fail(IOFailure)
        /// Stage a request for what is left.
        case next
        /// Stage the same again; on a thread that may block if so.
        case again(mayBlock: Bool)
        /// A continuation was refused: find out whether the file ends here, then call `examined`.
        case examine
        /// Not for this request: drop it.
        case ignore
    }

    @usableFromInline var state: State = .vacant
    @usableFromInline var traits: Traits = []
    /// EINTR and EAGAIN since something was moved.
    @usableFromInline var retries: UInt8 = 0
    /// How often a refused continuation went back to an aligned place.
    @usableFromInline var rewinds: UInt8 = 0

    /// EINTR and EAGAIN in a row before it becomes the user's error.
    @inlinable static var maximumRetries: UInt8 { 32 }
    /// Rewinds of one event before EINVAL becomes the user's error.
    @inlinable static var maximumRewinds: UInt8 { 8 }

    @usableFromInline init() {}

    /// A slot takes an event in.
    @inlinable
    mutating func accept(_ traits: Traits) {
        assert(state == .vacant)
        state = .waiting
        self.traits = traits
        retries = 0
        rewinds = 0
    }

    /// An accepted event will not be done: it goes straight to its hand-over.
    @inlinable
    mutating func refuse() {
        assert(state == .waiting || state == .held)
        state = .finished
    }

    /// An accepted event must not begin yet.
    @inlinable
    mutating func hold() {
        assert(state == .waiting)
        state = .held
    }

    /// It may begin.
    @inlinable
    mutating func release() {
        assert(state == .held)
        state = .waiting
    }

    /// The event is handed over although the driver has a request of it.
    @inlinable
    mutating func abandon() {
        assert(state == .inFlight)
        state = .abandoned
    }

    /// The request of an abandoned event has ended.
    @inlinable
    mutating func settled() {
        assert(state == .abandoned)
        state = .vacant
    }

    /// The driver took a request.
    @inlinable
    mutating func staged() {
        assert(state == .waiting)
        state = .inFlight
    }

    /// The event leaves the slot.
    @inlinable
    mutating func handedOver() {
        assert(state == .finished)
        state = .vacant
    }

    /// The common end of a transfer: its request moved all that was asked for, and that was the rest of
    /// the event.
    ///
    /// - Returns: False: it is not that, and nothing was done; ask ``completed(_:requested:transferred:length:)``.
    @inlinable @inline(__always)
    mutating func completedWhole(
        _ result: Int, requested: Int, transferred: inout Int, length: Int
    ) -> Bool {
        guard state == .inFlight, traits.contains(.transfer), result == requested,
            transferred &+ result == length
        else { return false }
        transferred = length
        state = .finished
        return true
    }

    /// A completion of the current request came.
    ///
    /// - Parameters:
    ///   - result: Bytes moved, or a negative errno.
    ///   - requested: Bytes that this request asked for.
    ///   - transferred: Bytes of the event before; afterwards with those of this request.
    ///   - length: Bytes of the event in all.
    @inlinable
    mutating func completed(
        _ result: Int, requested: Int, transferred: inout Int, length: Int
    ) -> Step {
        switch state {
        case .inFlight: break
        case .vacant, .held, .waiting, .finished, .abandoned: return .ignore
        }
        if result == requested {
            // All that was asked for: for transfers mostly the end, for others `requested` is 0.
            transferred &+= result
            retries = 0
            return transferred == length || !traits.contains(.transfer) ? finish() : next()
        }
        return completedOtherwise(
            result, requested: requested, transferred: &transferred, length: length)
    }

    @usableFromInline
    mutating func completedOtherwise(
        _ result: Int, requested: Int, transferred: inout Int, length: Int
    ) -> Step {
        if result < 0 { return failed(0 &- max(result, -4096), transferred: transferred) }
        guard traits.contains(.transfer) else { return finish() }
        if result > requested {
            // Not credited: nobody knows what memory was written.
            return fail(IOFailure(errno: Errnos.ioError, reason: .excessTransfer))
        }
        if result == 0 {
            return traits.contains(.write)
                ? fail(IOFailure(errno: Errnos.ioError, reason: .zeroWrite)) : finish()
        }
        transferred += result
        retries = 0
        return traits.contains(.handsOver) || traits.contains(.single) ? finish() : next()
    }

    private mutating func failed(_ number: Int, transferred: Int) -> Step {
        // Every errno is below 4096; what is not is a bug in the driver.
        let errno = number < 4096 ? Int32(number) : Errnos.ioError
        switch errno {
        case Errnos.interrupted:
            return again(errno, mayBlock: false)
        case Errnos.again where !traits.contains(.noWait):
            return again(errno, mayBlock: true)
        case Errnos.invalidArgument
        where transferred > 0 && traits.contains(.transfer) && !traits.contains(.single):
            return rewinds < Self.maximumRewinds ? .examine : fail(.kernel(errno))
        default:
            return fail(.kernel(errno))
        }
    }

    /// What became of looking at the file after `examine`.
    ///
    /// - Parameters:
    ///   - offset: Of the event, in the file.
    ///   - size: Of the file.
    ///   - alignment: Of offsets in the file, at least 1.
    @usableFromInline
    mutating func examined(
        offset: Int64, size: Int64, alignment: Int, transferred: inout Int
    ) -> Step {
        let position = offset + Int64(transferred)
        if !traits.contains(.write), position >= size { return finish() }
        let back = Int(position % Int64(alignment))
        guard back > 0, back <= transferred else {
            return fail(.kernel(Errnos.invalidArgument))
        }
        rewinds += 1
        transferred -= back
        return next()
    }

    private mutating func again(_ errno: Int32, mayBlock: Bool) -> Step {
        if traits.contains(.stopping) { return stopped() }
        if retries == Self.maximumRetries {
            return fail(IOFailure(errno: errno, reason: .retriesExhausted))
        }
        retries += 1
        state = .waiting
        return .again(mayBlock: mayBlock)
    }

    @inlinable
    mutating func next() -> Step {
        if traits.contains(.stopping) { return stopped() }
        state = .waiting
        return .next
    }

    /// What is left of it is not done any more.
    @usableFromInline
    mutating func stopped() -> Step { fail(.cancelled) }

    @inlinable
    mutating func finish() -> Step {
        state = .finished
        return .finish
    }

    @usableFromInline
    mutating func fail(_ failure: IOFailure) -> Step {
        state = .finished
        return .fail(failure)
    }
}
