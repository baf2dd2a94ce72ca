/// Whether looking for neighbours has paid lately: random IO should not pay for what it does not have.
///
/// After 64 batches in which fewer than one request in 32 was joined, only every eighth batch is looked
/// at. Requests in the order of the file are seen as neighbours without a look, so a sequential reader
/// that comes after random ones loses nothing, and others a few batches.
struct MergeInterest {
    private static let most = 64
    private static let reward = 8

    private var score = most
    private var batch = 0
    private var requestsSeen: UInt64 = 0
    private var partsSeen: UInt64 = 0

    /// Whether to look at the batch that begins, after what was counted so far.
    @inline(__always)
    mutating func decide(_ statistics: MergeStatistics) -> Bool {
        let requests = statistics.requestsIn &- requestsSeen
        let parts = statistics.partsJoined &- partsSeen
        requestsSeen = statistics.requestsIn
        partsSeen = statistics.partsJoined
        let hasPaid = parts > 0 && parts &* 32 >= requests
        score = hasPaid ? min(score &+ Self.reward, Self.most) : max(score &- 1, 0)
        batch &+= 1
        return score > 0 || batch & 7 == 0
    }
}
