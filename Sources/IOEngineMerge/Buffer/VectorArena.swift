internal import IOEngineCore

/// Lists of vectors for joined requests, which stay where they are until the request has ended.
///
/// The room is given out in units of four vectors, next fit. It is four times the queue's depth, which
/// suffices for every way to join that many requests unless they came and went very unevenly; then
/// a request passes alone.
@safe
struct VectorArena: ~Copyable {
    let memory: KeptMemory
    private let taken: FixedTable<Bool>
    private var freeUnits: Int
    private var cursor = 0

    private static let unit = 4

    /// - Parameter largest: Vectors of one list at most.
    init(depth: Int, largest: Int) {
        let units = max(depth, (largest + Self.unit - 1) / Self.unit)
        memory = KeptMemory(byteCount: units * Self.unit * MemoryLayout<IOVector>.stride)
        taken = FixedTable(count: units, repeating: false)
        freeUnits = units
    }

    /// Where the vectors lie; the memory holds nothing else.
    var vectors: UnsafeMutablePointer<IOVector> {
        unsafe memory.base.assumingMemoryBound(to: IOVector.self)
    }

    /// Room for `count` vectors in a row: the number of the first. Nil: there is none.
    mutating func take(_ count: Int) -> Int? {
        let wanted = (count + Self.unit - 1) / Self.unit
        if wanted > freeUnits { return nil }
        var place = cursor
        var run = 0
        // Once round, and so far again that a row around the starting point is found.
        for _ in 0..<taken.count + wanted {
            if place == taken.count {
                place = 0
                run = 0
            }
            run = taken[place] ? 0 : run + 1
            place += 1
            if run == wanted {
                for i in place - wanted..<place { taken[i] = true }
                freeUnits -= wanted
                cursor = place
                return (place - wanted) * Self.unit
            }
        }
        return nil
    }

    mutating func give(back first: Int, count: Int) {
        let start = first / Self.unit
        let units = (count + Self.unit - 1) / Self.unit
        for i in start..<start + units { taken[i] = false }
        freeUnits += units
        // Low places first: their memory is warm.
        if freeUnits == taken.count { cursor = 0 }
    }
}
