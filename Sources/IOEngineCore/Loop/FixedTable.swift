/// A fixed number of plain values at an address that stays, allocated once.
///
/// Owns the memory. Whoever holds the table may change its values: it is part of one owner's state.
@safe @frozen @usableFromInline
package struct FixedTable<Element>: ~Copyable {
    @usableFromInline package let values: UnsafeMutableBufferPointer<Element>

    @usableFromInline
    package init(count: Int, repeating value: Element) {
        unsafe values = .allocate(capacity: count)
        unsafe values.initialize(repeating: value)
    }

    @usableFromInline
    deinit {
        unsafe values.deinitialize()
        unsafe values.deallocate()
    }

    @inlinable package var count: Int { unsafe values.count }

    /// Unchecked in release: every index is a slot below the depth, or a place below the count.
    @inlinable
    package subscript(index: Int) -> Element {
        @inline(__always) get {
            assert(index >= 0 && index < count)
            return unsafe values.baseAddress.unsafelyUnwrapped[index]
        }
        @inline(__always) nonmutating _modify {
            assert(index >= 0 && index < count)
            yield &(unsafe values.baseAddress.unsafelyUnwrapped)[index]
        }
    }

    /// Lets later values move to an earlier place; both ranges lie inside.
    package func move(_ range: Range<Int>, to place: Int) {
        assert(range.lowerBound >= 0 && range.upperBound <= count && place + range.count <= count)
        let base = unsafe values.baseAddress.unsafelyUnwrapped
        unsafe (base + place).update(from: base + range.lowerBound, count: range.count)
    }
}
