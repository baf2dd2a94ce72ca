/// A ring of plain values with room for all that can ever be in it.
@frozen @usableFromInline
struct FixedQueue<Element>: ~Copyable {
    @usableFromInline let table: FixedTable<Element>
    @usableFromInline var head = 0
    @usableFromInline var count = 0

    init(capacity: Int, filler: Element) {
        table = FixedTable(count: capacity, repeating: filler)
    }

    @inlinable var isEmpty: Bool { count == 0 }

    @inlinable
    var first: Element {
        assert(count > 0)
        return table[head]
    }

    @inline(__always)
    mutating func push(_ value: Element) {
        precondition(count < table.count, "more is finished than was in flight")
        var tail = head &+ count
        if tail >= table.count { tail &-= table.count }
        table[tail] = value
        count &+= 1
    }

    @inlinable @inline(__always)
    mutating func pop() -> Element {
        let value = first
        head &+= 1
        if head == table.count { head = 0 }
        count &-= 1
        return value
    }
}
