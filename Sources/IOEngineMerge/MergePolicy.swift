/// What a ``MergingDriver`` joins, and how far.
///
/// The defaults join what is staged together, up to 128 KiB, without copying and without waiting.
public struct MergePolicy: Hashable, Sendable {
    /// Bytes of a joined request at most, gaps included. A request that is larger by itself passes
    /// unchanged. Between 1 and ``IORequest/maximumTransfer``.
    public var maximumBytes: Int

    /// Requests that become one at most; 1: nothing is joined.
    public var maximumParts: Int

    /// Bytes between two reads that may be read and thrown away to join them; 0: only what touches.
    ///
    /// Such bytes are read although nobody asked for them: not a good idea on a descriptor that goes
    /// through the page cache, while another writes past it to the same file.
    public var maximumGap: Int

    /// How long a request may be kept back for neighbours; zero: not at all, and only what is staged
    /// together is joined. A request is handed down earlier when enough has come for a whole joined
    /// one, when every place of the queue is taken, and when somebody waits for it to end.
    ///
    /// It delays each request that finds no neighbours by as much. Costs a look at the clock for each
    /// batch, and the driver below must be able to wait until a deadline.
    public var wait: Duration

    /// Requests of at most this many bytes are copied together rather than listed, where all parts of
    /// a joined request are that small.
    ///
    /// The kernel looks up memory by pages, about 30 ns for each piece of a list; copying takes as long
    /// for 1 KiB. A driver that takes no lists is always copied for.
    public var copiesPartsUpTo: Int

    public init(
        maximumBytes: Int = 128 << 10, maximumParts: Int = 256, maximumGap: Int = 0,
        wait: Duration = .zero, copiesPartsUpTo: Int = 1024
    ) {
        self.maximumBytes = maximumBytes
        self.maximumParts = maximumParts
        self.maximumGap = maximumGap
        self.wait = wait
        self.copiesPartsUpTo = copiesPartsUpTo
    }
}
