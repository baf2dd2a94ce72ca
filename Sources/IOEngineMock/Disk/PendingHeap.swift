/// What is due when: a heap by time, then by a drawn number, then by the order of arrival.
struct PendingHeap {
    struct Entry {
        /// Nanoseconds on the virtual clock.
        var due: Int64
        /// Drawn, so that what is due at the same time comes in any order.
        var draw: UInt32
        /// Where the request is kept.
        var place: Int32
        /// The version of the place that is meant; an older one is stale.
        var version: UInt32
        var arrival: UInt64

        static func < (a: Self, b: Self) -> Bool {
            if a.due != b.due { return a.due < b.due }
            if a.draw != b.draw { return a.draw < b.draw }
            return a.arrival < b.arrival
        }
    }

    private var entries: [Entry] = []

    var first: Entry? { entries.first }
    var isEmpty: Bool { entries.isEmpty }

    mutating func push(_ entry: Entry) {
        entries.append(entry)
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child] < entries[parent] else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        let last = entries.removeLast()
        if entries.isEmpty { return }
        entries[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < entries.count && entries[child] < entries[least] {
                least = child
            }
            if least == parent { return }
            entries.swapAt(parent, least)
            parent = least
        }
    }

    mutating func removeAll() { entries.removeAll() }
}
