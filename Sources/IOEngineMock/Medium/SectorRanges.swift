/// Ranges of sectors, sorted, apart from each other.
struct SectorRanges {
    private(set) var ranges: [Range<Int64>] = []

    var isEmpty: Bool { ranges.isEmpty }

    mutating func insert(_ range: Range<Int64>) {
        if range.isEmpty { return }
        var joined = range
        var others: [Range<Int64>] = []
        for other in ranges {
            if other.upperBound < joined.lowerBound || joined.upperBound < other.lowerBound {
                others.append(other)
            } else {
                joined =
                    min(
                        joined.lowerBound, other.lowerBound)..<max(
                        joined.upperBound, other.upperBound)
            }
        }
        others.append(joined)
        others.sort { $0.lowerBound < $1.lowerBound }
        ranges = others
    }

    mutating func remove(_ range: Range<Int64>) {
        if range.isEmpty || ranges.isEmpty { return }
        var left: [Range<Int64>] = []
        for other in ranges {
            let before =
                other.lowerBound..<max(other.lowerBound, min(other.upperBound, range.lowerBound))
            let after =
                min(other.upperBound, max(other.lowerBound, range.upperBound))..<other.upperBound
            if !before.isEmpty { left.append(before) }
            if !after.isEmpty { left.append(after) }
        }
        ranges = left
    }

    func contains(_ sector: Int64) -> Bool { ranges.contains { $0.contains(sector) } }

    /// The first sector of `range` that is in here.
    func first(in range: Range<Int64>) -> Int64? {
        for other in ranges where other.overlaps(range) {
            return max(other.lowerBound, range.lowerBound)
        }
        return nil
    }

    /// How many sectors of `range` are in here.
    func count(in range: Range<Int64>) -> Int64 {
        ranges.reduce(0) { $0 + Int64($1.clamped(to: range).count) }
    }
}
