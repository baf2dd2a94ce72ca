/// What a ``MergingDriver`` counts. Never reset.
@frozen
public struct MergeStatistics: Equatable, Sendable {
    /// Requests that came in.
    public var requestsIn: UInt64 = 0
    /// Requests handed down, those that had to be repeated included.
    public var requestsOut: UInt64 = 0
    /// Of those that came in, how many went down as part of a joined one.
    public var partsJoined: UInt64 = 0
    /// Parts whose joined request failed or ended before them, handed down again alone.
    public var partsRepeated: UInt64 = 0
    /// Bytes copied between the users' memory and the layer's, or between users of the same bytes.
    public var bytesCopied: UInt64 = 0
    /// Bytes read only to bridge gaps.
    public var gapBytes: UInt64 = 0
    /// How often requests waited for neighbours until the time for it was over.
    public var waits: UInt64 = 0

    @inlinable public init() {}
}
