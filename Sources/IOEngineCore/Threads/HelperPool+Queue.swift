/// Requests that wait for a helper, in the order in which helpers take them: by IO priority, within
/// one priority as they came.
///
/// Nobody starves: of ``HelperPool/turn`` requests taken, one is the oldest of all. The request
/// that is n-th by age is therefore taken with the n-th such turn at the latest.
struct HelperQueue {
    /// One list a priority, the most urgent first.
    fileprivate var lists = [SlotList](repeating: SlotList(), count: Self.priorities)
    /// Bit i is set where list i is not empty.
    fileprivate var filled: UInt32 = 0
    /// Requests in all.
    private(set) var count = 0
    /// Requests taken by priority since the last one that was taken by age.
    fileprivate var taken = 0
    /// Of the next request, for its age.
    fileprivate var number: UInt64 = 0

    var isEmpty: Bool { count == 0 }

    /// Real time and best effort have eight levels each, and behind them is idle.
    private static let priorities = 17

    /// The list of a request, as the kernel's schedulers see it: who asked for nothing is in the
    /// middle of best effort. As in the kernel's own queues, only transfers have a priority.
    fileprivate static func list(of request: IORequest) -> Int {
        let middle = 8 + 4
        guard request.action.isTransfer else { return middle }
        let level = Int(request.priority.rawValue & 7)
        return switch request.priority.rawValue >> 13 {
        case 1: level
        case 2: 8 + level
        case 3: 16
        default: middle
        }
    }

    fileprivate mutating func added(to list: Int) {
        filled |= 1 << UInt32(list)
        count += 1
    }

    fileprivate mutating func removed(from list: Int) {
        if lists[list].isEmpty { filled &= ~(1 << UInt32(list)) }
        count -= 1
    }
}

extension HelperPool {
    /// One request in that many is taken by age.
    static var turn: Int { 8 }

    /// Queues what the owner staged, in its order.
    func queueStaged() {
        while staged.first >= 0 {
            let slot = staged.first
            remove(slot, from: &staged)
            let entry = unsafe entries + Int(slot)
            let list = unsafe HelperQueue.list(of: entry.pointee.request)
            unsafe entry.pointee.number = queue.number
            queue.number &+= 1
            append(slot, to: &queue.lists[list], as: .queued)
            queue.added(to: list)
        }
    }

    /// Takes out the request whose turn it is; nil: there is none.
    func takeQueued() -> Int32? {
        if queue.isEmpty { return nil }
        var slot = queue.lists[queue.filled.trailingZeroBitCount].first
        queue.taken += 1
        if queue.taken >= Self.turn {
            queue.taken = 0
            // By index, so that no copy of the lists is alive when they are changed.
            for list in queue.lists.indices where !queue.lists[list].isEmpty {
                let first = queue.lists[list].first
                if unsafe entries[Int(first)].number < entries[Int(slot)].number { slot = first }
            }
        }
        removeQueued(slot)
        return slot
    }

    /// Takes a request out that is queued.
    func removeQueued(_ slot: Int32) {
        let list = unsafe HelperQueue.list(of: entries[Int(slot)].request)
        remove(slot, from: &queue.lists[list])
        queue.removed(from: list)
    }
}
