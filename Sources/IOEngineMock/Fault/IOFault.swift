public import IOEngineCore
public import SystemPackage

/// Something that goes wrong, as data: which requests, which of them, and what becomes of them.
///
/// ```swift
/// disk.add(.fails(.ioError, IOFault.writes, .nth(3)))          // the third write
/// disk.add(.fails(.ioError, IOFault.reads, range: 4096..<8192))  // each read that touches this
/// disk.add(.moves(100, IOFault.reads, .oneIn(10)))             // short reads by chance
/// ```
///
/// ``SimulatedDisk`` knows all effects; the layer ``FaultyDriver`` all but
/// ``Effect/neverDurable``, which needs to know what is durable. Of several faults that fit one
/// request, the first that was added decides; each counts what fits it.
public struct IOFault: Hashable, Sendable {
    /// Which of the requests that fit.
    public enum Occurrence: Hashable, Sendable {
        case each
        /// The first so many.
        case first(Int)
        /// This one alone, counted from 1.
        case nth(Int)
        /// All after the first so many.
        case after(Int)
        /// By chance, one in so many.
        case oneIn(Int)
    }

    /// What becomes of the request.
    public enum Effect: Hashable, Sendable {
        /// Ends with this errno, nothing done. Of a failed sync, the writes are forsaken: later syncs
        /// do not cover them.
        case fails(Errno)
        /// Ends with this errno, though all of it was done.
        case failsThoughDone(Errno)
        /// Moves at most so many bytes. Transfers only.
        case moves(Int)
        /// Does not end by itself. Cancelling ends it, or not even that.
        case isStuck(canBeCancelled: Bool)
        /// Takes so much longer, in nanoseconds.
        case isLate(nanoseconds: Int64)
        /// Success, and nothing done. Not for reads, which would show bytes that nobody wrote.
        case pretends
        /// Done, seen by reads, and lost by a crash even after a sync. Writes on a ``SimulatedDisk``.
        case neverDurable
        /// Done so many bytes further on, or before. Writes only.
        case misdirects(by: Int64)
        /// So many bits of what a read returns are flipped. Reads only.
        case flips(bits: Int)
    }

    /// Actions that fit.
    public var actions: Set<IOAction>
    /// Bytes of the file that a request must touch; nil: any. Syncs touch none.
    public var range: Range<Int64>?
    /// The descriptor's number; nil: any.
    public var descriptor: Int32?
    /// Flags that a request must carry, all of them.
    public var flags: IOFlags
    public var occurrence: Occurrence
    public var effect: Effect

    public init(
        _ actions: Set<IOAction>, _ occurrence: Occurrence = .each, range: Range<Int64>? = nil,
        descriptor: Int32? = nil, flags: IOFlags = [], effect: Effect
    ) {
        self.actions = actions
        self.range = range
        self.descriptor = descriptor
        self.flags = flags
        self.occurrence = occurrence
        self.effect = effect
    }

    public static var reads: Set<IOAction> { [.read, .readVectored] }
    public static var writes: Set<IOAction> { [.write, .writeVectored] }
    public static var transfers: Set<IOAction> { reads.union(writes) }
    public static var syncs: Set<IOAction> { [.syncData, .syncFull] }

    /// See ``Effect/fails(_:)``.
    public static func fails(
        _ errno: Errno, _ actions: Set<IOAction>, _ occurrence: Occurrence = .each,
        range: Range<Int64>? = nil
    ) -> Self {
        Self(actions, occurrence, range: range, effect: .fails(errno))
    }

    /// See ``Effect/moves(_:)``.
    public static func moves(
        _ bytes: Int, _ actions: Set<IOAction>, _ occurrence: Occurrence = .each,
        range: Range<Int64>? = nil
    ) -> Self {
        Self(actions, occurrence, range: range, effect: .moves(bytes))
    }

    /// See ``Effect/isStuck(canBeCancelled:)``.
    public static func stuck(
        _ actions: Set<IOAction>, _ occurrence: Occurrence = .each, canBeCancelled: Bool = true
    ) -> Self {
        Self(actions, occurrence, effect: .isStuck(canBeCancelled: canBeCancelled))
    }

    /// See ``Effect/pretends``.
    public static func pretends(
        _ actions: Set<IOAction>, _ occurrence: Occurrence = .each
    ) -> Self {
        Self(actions, occurrence, effect: .pretends)
    }
}

extension IOFault.Effect {
    /// Whether it means anything for this action.
    func applies(to action: IOAction) -> Bool {
        switch self {
        case .fails, .failsThoughDone, .isStuck, .isLate: true
        case .moves: action.isTransfer
        case .pretends: !action.isRead
        case .neverDurable: action.isWrite
        case .misdirects: action.isWrite
        case .flips: action.isRead
        }
    }
}
