public import IOEngineCore

/// Decides which requests become one, and what each of them gets when it has ended: the logic of a
/// ``MergingDriver``, without a driver and without IO.
///
/// Requests go in with ``add(_:)``; what is to be handed down comes out of ``next()``, one at a time,
/// each to be confirmed with ``handedDown()`` or given back with ``putBack()``; completions go into
/// ``complete(_:)`` and come out, one for each request that went in, of
/// ``takeFinished(into:)``.
///
/// ```swift
/// var buffer = MergeBuffer(depth: 32, maximumVectors: 1024)
/// for request in requests { _ = buffer.add(request) }
/// while let request = buffer.next() {
///     print(request.offset, request.length)
///     buffer.handedDown()
/// }
/// ```
///
/// - Only transfers of the same kind, descriptor, flags and priority are joined. Appends and atomic
///   writes pass alone, and so does what asked not to wait (NOWAIT) or may have to block.
/// - A request that nothing touches passes unchanged. A joined one carries the token of its first
///   part.
/// - Two requests of one descriptor that overlap, one of them a write, are never joined into different
///   places of the order: what came later is handed down later. Syncs, allocates and appends are not
///   passed by anything, either way.
/// - Reads that overlap become one that reads each byte once; the others get copies.
/// - What direct IO would refuse by itself (see ``IORequest/alignmentLogarithm``) passes alone, to be
///   refused; so does every part that is no multiple of 4096 bytes where nothing is known of the
///   descriptor.
/// - A vectored request is a part like any other if the lists together are short enough; it takes no
///   part in overlaps.
///
/// All memory is allocated by the initialiser. What requests point at must stay valid until their
/// completion is taken out.
public struct MergeBuffer: ~Copyable {
    @usableFromInline let depth: Int
    let limits: Limits

    /// Requests that came in and whose answers were not taken out.
    @usableFromInline var occupied = 0

    // By slot.
    @usableFromInline let requests: FixedTable<IORequest>
    @usableFromInline let states: FixedTable<PartState>
    let kinds: FixedTable<RequestKind>
    /// The next part of the same joined request.
    let links: FixedTable<UInt32>
    let groups: FixedTable<JoinedRequest>

    /// Slots that are not handed down: `first..<planned` in the order in which they go down, the rest
    /// as they came. Twice the depth, so that it moves seldom.
    @usableFromInline let order: FixedTable<UInt32>
    @usableFromInline var first = 0
    @usableFromInline var planned = 0
    @usableFromInline var end = 0
    /// What is planned touches nothing.
    @usableFromInline var planIsPlain = true
    /// Where what must be handed down ends; the rest may wait.
    var dueEnd = 0
    var arrivals = Arrivals()
    var neighbours: NeighbourTest
    var interest = MergeInterest()
    let sortedEntries: FixedTable<SortedEntry>
    let sortingSpace: FixedTable<SortedEntry>

    /// Parts to be handed down again, alone, before everything else.
    var repeats: FixedQueue<UInt32>
    /// What `next` returned last.
    var offer = Offer.nothing
    /// The parts of a joined request while they are put together.
    let assembly: FixedTable<IOVector>
    var vectors: VectorArena
    /// To copy in; none where nothing is copied.
    var copies: MemoryPieces
    /// For the bytes of gaps.
    var gaps: MemoryPieces

    @usableFromInline var finished: FixedQueue<IOCompletion>
    /// Joined requests that are handed down and not complete.
    @usableFromInline var joinedInFlight = 0
    /// Of their parts, so many as come on top of the joined requests themselves.
    @usableFromInline var surplusInFlight = 0

    /// Until when requests may be held back; nil: nothing is.
    @usableFromInline var dueTime: IOInstant?
    /// Requests are held back, and the clock was not looked at yet.
    @usableFromInline var startsWaiting = false

    /// What was counted so far.
    public internal(set) var statistics = MergeStatistics()

    /// - Parameters:
    ///   - depth: Requests at most: every token's slot is below. 1 to 65,536. A slot costs about 250
    ///     bytes.
    ///   - policy: What to join. Values out of range count as the nearest one that is in range.
    ///   - maximumVectors: What a request that is handed down may carry; below 2: none, and what is
    ///     joined is copied.
    public init(depth: Int, policy: MergePolicy = MergePolicy(), maximumVectors: Int) {
        precondition(
            depth >= 1 && depth <= Int(IOToken.largestSlot) + 1, "a depth is 1 to 65,536")
        let limits = Limits(policy, depth: depth, maximumVectors: maximumVectors)
        self.depth = depth
        self.limits = limits
        requests = unsafe FixedTable(
            count: depth,
            repeating: IORequest(token: IOToken(rawValue: .max), action: .noOperation))
        states = FixedTable(count: depth, repeating: .absent)
        kinds = FixedTable(count: depth, repeating: .solo)
        links = FixedTable(count: depth, repeating: 0)
        groups = FixedTable(count: depth, repeating: JoinedRequest())
        order = FixedTable(count: 2 * depth, repeating: 0)
        neighbours = NeighbourTest(depth: depth)
        sortedEntries = FixedTable(count: limits.window, repeating: SortedEntry())
        sortingSpace = FixedTable(count: limits.window, repeating: SortedEntry())
        repeats = FixedQueue(capacity: depth, filler: 0)
        let most = limits.takesVectors ? limits.vectors : 2 * limits.parts
        assembly = unsafe FixedTable(
            count: most,
            repeating: IOVector(base: UnsafeMutableRawPointer(bitPattern: 1)!, count: 0))
        vectors = VectorArena(depth: limits.takesVectors ? depth : 1, largest: limits.vectors)
        let copied = limits.largestCopy
        copies = MemoryPieces(
            count: copied == 0 ? 0 : limits.pieces(of: copied, within: 4 << 20), pieceSize: copied)
        gaps = MemoryPieces(
            count: limits.gap == 0 ? 0 : limits.pieces(of: limits.gap, within: 1 << 20),
            pieceSize: limits.gap)
        // Room for all that is in flight, and for what comes back twice or was never handed down.
        finished = FixedQueue(
            capacity: 2 * depth + MergeBuffer.mostAtOnce,
            filler: IOCompletion(token: IOToken(rawValue: .max), result: 0))
    }

    deinit {
        if joinedInFlight > 0 {
            vectors.memory.keepForEver()
            copies.memory.keepForEver()
            gaps.memory.keepForEver()
        }
    }

    /// Completions that a driver takes from the one below at once, at most.
    @usableFromInline static var mostAtOnce: Int { 256 }
}

extension MergeBuffer {
    /// Requests that came in and are neither handed down nor answered.
    public var staged: Int { end - first + repeats.count }

    /// Whether something is held back to wait for neighbours.
    public var isHoldingBack: Bool { limits.waitNanoseconds > 0 && dueEnd < end }

    /// Completions that can be taken out.
    @inlinable public var finishedCount: Int { finished.count }

    /// Whether every completion of the driver below passes unchanged, and nothing is to be handed down.
    @inlinable
    var isTransparent: Bool { joinedInFlight == 0 && finished.isEmpty && staged == 0 }

    /// Whether ``next()`` would return something.
    @usableFromInline
    var hasDue: Bool {
        if !repeats.isEmpty || first < planned { return true }
        return first < (limits.waitNanoseconds == 0 ? end : dueEnd)
    }

    @usableFromInline var repeatsCount: Int { repeats.count }

    /// Whether a driver may pass ``mostAtOnce`` more completions in, even if none of them is right.
    @inlinable var hasRoomForCompletions: Bool { finished.count <= depth }

    /// Until when something is held back; nil: nothing is, or ``wait(from:)`` was not called yet.
    @inlinable public var dueAt: IOInstant? { dueTime }
}

/// What the policy comes to, in numbers that need no further check.
struct Limits {
    let bytes: Int
    let parts: Int
    let gap: Int
    let vectors: Int
    let copiedPart: Int
    let waitNanoseconds: Int64
    /// Requests that are looked at together when they must be sorted.
    let window: Int
    private let depth: Int

    init(_ policy: MergePolicy, depth: Int, maximumVectors: Int) {
        self.depth = depth
        bytes = min(max(policy.maximumBytes, 1), IORequest.maximumTransfer)
        parts = min(max(policy.maximumParts, 1), depth)
        gap = min(max(policy.maximumGap, 0), bytes)
        vectors = min(max(maximumVectors, 0), IOVector.maximumCount)
        copiedPart = vectors < 2 ? bytes : max(policy.copiesPartsUpTo, 0)
        waitNanoseconds = max(
            0, IOInstant(nanoseconds: 0).advanced(by: policy.wait).nanoseconds)
        window = min(depth, max(parts, 256))
    }

    var takesVectors: Bool { vectors >= 2 }

    /// Bytes of the largest joined request that is copied; 0: none is.
    var largestCopy: Int {
        if parts < 2 || copiedPart == 0 { return 0 }
        return takesVectors ? min(bytes, copiedPart.multipliedClamping(by: parts)) : bytes
    }

    /// How many pieces of memory to have: no more than can be in use, and not more bytes than that,
    /// but two in any case.
    func pieces(of bytes: Int, within total: Int) -> Int {
        max(1, min(max(2, total / max(1, bytes)), depth / 2))
    }
}

extension Int {
    fileprivate func multipliedClamping(by other: Int) -> Int {
        let (product, overflowed) = multipliedReportingOverflow(by: other)
        return overflowed ? .max : product
    }
}
