/// A ring of plain values with room for all that can ever be in it.
@frozen @usableFromInline
package struct FixedQueue<Element>: ~Copyable {
    @usableFromInline let table: FixedTable<Element>
    @usableFromInline var head = 0
    @usableFromInline package var count = 0

    @usableFromInline
    package init(capacity: Int, filler: Element) {
        table = FixedTable(count: capacity, repeating: filler)
    }

    @inlinable package var isEmpty: Bool { count == 0 }

    @inlinable
    package var first: Element {
        assert(count > 0)
        return table[head]
    }

    @inlinable @inline(__always)
    package mutating func push(_ value: Element) {
        precondition(count < table.count, "more is in the queue than there can be")
        var tail = head &+ count
        if tail >= table.count { tail &-= table.count }
        table[tail] = value
        count &+= 1
    }

    /// Puts a value back in front.
    @inlinable
    package mutating func pushFirst(_ value: Element) {
        precondition(count < table.count, "more is in the queue than there can be")
        head = head == 0 ? table.count &- 1 : head &- 1
        table[head] = value
        count &+= 1
    }

    @inlinable @inline(__always)
    package mutating func pop() -> Element {
        let value = first
        head &+= 1
        if head == table.count { head = 0 }
        count &-= 1
        return value
    }
}

extension FixedQueue where Element: Equatable {
    /// Takes a value out of the middle; the order of the others stays. Does nothing if it is not in.
    @usableFromInline
    package mutating func remove(_ value: Element) {
        var found = false
        for _ in 0..<count {
            let next = pop()
            if next == value, !found { found = true } else { push(next) }
        }
    }
}
