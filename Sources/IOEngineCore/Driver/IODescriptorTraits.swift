/// What the loop knows of a request's descriptor, so that a driver decides without asking the kernel
/// for each IO.
///
/// A hint: a user may change the descriptor behind the loop's back, so results must not depend on it,
/// only where the work is done; the exception is ``appending``, for who joins or sorts writes. A request without ``known`` comes from somebody who did not look.
@frozen
public struct IODescriptorTraits: OptionSet, Hashable, Sendable {
    public var rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The descriptor was looked at: what is not in the set is not so.
    @inlinable public static var known: Self { Self(rawValue: 1) }
    /// Open with O_DIRECT.
    @inlinable public static var direct: Self { Self(rawValue: 2) }
    /// On a file system that keeps its data in memory.
    @inlinable public static var inMemory: Self { Self(rawValue: 4) }
    /// Open with O_APPEND: a write lands at the end of the file, whatever its offset says. Layers
    /// neither split it nor join it with others.
    @inlinable public static var appending: Self { Self(rawValue: 8) }
    /// Open with O_DSYNC or O_SYNC: a write is durable when it has finished.
    @inlinable public static var synchronous: Self { Self(rawValue: 16) }

    /// What `facts` say.
    public init(_ facts: IODescriptorFacts) {
        self = .known
        if facts.isDirect { insert(.direct) }
        if facts.isInMemory { insert(.inMemory) }
        if facts.isAppending { insert(.appending) }
        if facts.isSynchronous { insert(.synchronous) }
    }
}
