internal import IOEngineCore

extension MergeBuffer {
    /// Decides in which order the next requests go down. False: nothing is due.
    mutating func plan() -> Bool {
        assert(first == planned)
        // Without a time to wait, everything is due.
        let due = limits.waitNanoseconds == 0 ? end : dueEnd
        let count = due - first
        if count <= 0 { return false }
        if !arrivals.mayTouch || count == 1 {
            planIsPlain = true
            planned = due
        } else if arrivals.isInOrder {
            planIsPlain = false
            planned = due
        } else {
            planSorted(count)
        }
        if planned == end { startBatch() }
        return true
    }

    mutating func startBatch() {
        arrivals = Arrivals()
        arrivals.looksForNeighbours = interest.decide(statistics) || limits.waitNanoseconds > 0
        neighbours.startBatch()
    }

    /// Sorts the next requests, as far as the order among them is of no importance.
    private mutating func planSorted(_ due: Int) {
        var count = min(due, limits.window)
        if arrivals.hasBarrier { count = countToBarrier(count) }
        planIsPlain = count == 1
        planned = first + count
        if planIsPlain { return }
        sort(count)
        if hasConflict(count) {
            count = countToConflict(count)
            planned = first + count
            sort(count)
        }
        for i in 0..<count { order[first + i] = sortedEntries[i].slot }
    }

    /// A barrier goes alone; so many are before it.
    private func countToBarrier(_ count: Int) -> Int {
        for i in 0..<count where kinds[Int(order[first + i])] == .barrier { return max(1, i) }
        return count
    }

    /// How many come before one that overlaps an earlier one, when either is a write.
    ///
    /// Compares each with each, at most the window; only where there is such a pair.
    private func countToConflict(_ count: Int) -> Int {
        for i in 1..<count {
            let later = requests[Int(order[first + i])]
            for j in 0..<i where later.conflicts(with: requests[Int(order[first + j])]) {
                return i
            }
        }
        return count
    }

    // MARK: Sorting

    /// Brings the next requests into the order of file, direction and offset; equal ones stay in the
    /// order in which they came. A merge sort that leaves alone what is in order already; allocates
    /// nothing.
    private func sort(_ count: Int) {
        for i in 0..<count {
            let slot = order[first + i]
            sortedEntries[i] = SortedEntry(requests[Int(slot)], slot)
        }
        // Short runs by insertion.
        let short = 8
        var start = 0
        while start < count {
            insertionSort(start..<min(start + short, count))
            start += short
        }
        var width = short
        while width < count {
            var low = 0
            while low + width < count {
                merge(low..<low + width, upTo: min(low + 2 * width, count))
                low += 2 * width
            }
            width *= 2
        }
    }

    private func insertionSort(_ range: Range<Int>) {
        for i in range.dropFirst() {
            let entry = sortedEntries[i]
            var place = i
            while place > range.lowerBound, entry < sortedEntries[place - 1] {
                sortedEntries[place] = sortedEntries[place - 1]
                place -= 1
            }
            sortedEntries[place] = entry
        }
    }

    /// Merges a sorted range with the sorted range behind it.
    private func merge(_ left: Range<Int>, upTo end: Int) {
        if sortedEntries[left.upperBound - 1] <= sortedEntries[left.upperBound] { return }
        for i in left { sortingSpace[i - left.lowerBound] = sortedEntries[i] }
        var from = 0
        var right = left.upperBound
        var place = left.lowerBound
        while from < left.count {
            if right < end, sortedEntries[right] < sortingSpace[from] {
                sortedEntries[place] = sortedEntries[right]
                right += 1
            } else {
                sortedEntries[place] = sortingSpace[from]
                from += 1
            }
            place += 1
        }
    }

    // MARK: Conflicts

    /// Whether two of the sorted requests overlap, one of them a write.
    private func hasConflict(_ count: Int) -> Bool {
        var start = 0
        while start < count {
            let file = sortedEntries[start].file
            var writes = start
            while writes < count, sortedEntries[writes].file == file,
                !sortedEntries[writes].isWrite
            {
                writes += 1
            }
            var end = writes
            while end < count, sortedEntries[end].file == file { end += 1 }
            if end > writes, hasConflict(reads: start..<writes, writes: writes..<end) {
                return true
            }
            start = end
        }
        return false
    }

    /// Goes through both in the order of the file.
    private func hasConflict(reads: Range<Int>, writes: Range<Int>) -> Bool {
        var read = reads.lowerBound
        var write = writes.lowerBound
        var anyEnd = Int64.min
        var writeEnd = Int64.min
        while write < writes.upperBound || read < reads.upperBound {
            let takesRead =
                write == writes.upperBound
                || (read < reads.upperBound
                    && sortedEntries[read].offset < sortedEntries[write].offset)
            let entry = sortedEntries[takesRead ? read : write]
            // What is empty overlaps nothing.
            let request = requests[Int(entry.slot)]
            if request.length > 0 {
                if entry.offset < (takesRead ? writeEnd : anyEnd) { return true }
                anyEnd = max(anyEnd, request.end)
                if !takesRead { writeEnd = max(writeEnd, request.end) }
            }
            if takesRead { read += 1 } else { write += 1 }
        }
        return false
    }
}

/// A request as it is sorted.
struct SortedEntry {
    /// Descriptor and direction.
    var key: UInt64 = 0
    var offset: Int64 = 0
    var slot: UInt32 = 0

    init() {}

    init(_ request: IORequest, _ slot: UInt32) {
        key =
            UInt64(UInt32(bitPattern: request.descriptor)) << 1
            | (request.action.isWrite ? 1 : 0)
        offset = request.offset
        self.slot = slot
    }

    var file: UInt64 { key >> 1 }
    var isWrite: Bool { key & 1 != 0 }

    static func < (a: Self, b: Self) -> Bool {
        a.key != b.key ? a.key < b.key : a.offset < b.offset
    }

    static func <= (a: Self, b: Self) -> Bool { !(b < a) }
}
