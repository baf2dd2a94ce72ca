/// The deadlines of a loop's events: a binary heap of slots, the earliest on top, with the place of each
/// slot, so that one can be taken out of the middle. Room for every slot; allocates nothing later.
///
/// Owns its tables. `places[slot]` is an index into `heap`, or -1.
@safe @usableFromInline
struct SlotTimers: ~Copyable {
    private let heap: UnsafeMutablePointer<UInt32>
    private let times: UnsafeMutablePointer<Int64>
    private let places: UnsafeMutablePointer<Int32>
    @usableFromInline private(set) var count = 0

    init(depth: Int) {
        unsafe heap = .allocate(capacity: depth)
        unsafe times = .allocate(capacity: depth)
        unsafe places = .allocate(capacity: depth)
        unsafe heap.initialize(repeating: 0, count: depth)
        unsafe times.initialize(repeating: 0, count: depth)
        unsafe places.initialize(repeating: -1, count: depth)
    }

    @usableFromInline
    deinit {
        unsafe heap.deallocate()
        unsafe times.deallocate()
        unsafe places.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    /// The earliest time in nanoseconds; `.max` if there is none.
    var earliest: Int64 { unsafe count == 0 ? .max : times[Int(heap[0])] }

    /// Sets a slot's time, new or other than before.
    mutating func set(_ slot: UInt32, to time: Int64) {
        remove(slot)
        unsafe times[Int(slot)] = time
        unsafe heap[count] = slot
        unsafe places[Int(slot)] = Int32(count)
        count += 1
        rise(from: count - 1)
    }

    /// Takes a slot out, if it is in.
    mutating func remove(_ slot: UInt32) {
        let place = unsafe Int(places[Int(slot)])
        guard place >= 0 else { return }
        count -= 1
        unsafe places[Int(slot)] = -1
        guard place < count else { return }
        put(unsafe heap[count], at: place)
        rise(from: place)
        sink(from: place)
    }

    /// Takes the earliest slot out, if its time has come.
    mutating func removeFirst(until now: Int64) -> UInt32? {
        guard earliest <= now, count > 0 else { return nil }
        let slot = unsafe heap[0]
        remove(slot)
        return slot
    }

    private func put(_ slot: UInt32, at place: Int) {
        unsafe heap[place] = slot
        unsafe places[Int(slot)] = Int32(place)
    }

    private func time(at place: Int) -> Int64 { unsafe times[Int(heap[place])] }

    private func rise(from start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            if time(at: parent) <= time(at: place) { return }
            exchange(place, parent)
            place = parent
        }
    }

    private func sink(from start: Int) {
        var place = start
        while true {
            var least = place
            for child in (2 * place + 1)...(2 * place + 2)
            where child < count && time(at: child) < time(at: least) {
                least = child
            }
            if least == place { return }
            exchange(place, least)
            place = least
        }
    }

    private func exchange(_ a: Int, _ b: Int) {
        let slot = unsafe heap[a]
        put(unsafe heap[b], at: a)
        put(slot, at: b)
    }
}
