/// Requests in the order in which they came, up to a fixed number.
@safe @usableFromInline
package struct RequestList: ~Copyable {
    private let places: UnsafeMutableBufferPointer<IORequest>
    @usableFromInline package private(set) var count = 0

    /// - Parameter capacity: At least 1.
    package init(capacity: Int) {
        unsafe places = .allocate(capacity: capacity)
        unsafe places.initialize(
            repeating: IORequest(token: IOToken(rawValue: .max), action: .noOperation))
    }

    deinit { unsafe places.deallocate() }

    package mutating func append(_ request: IORequest) {
        precondition(unsafe count < places.count, "no more requests than the depth")
        unsafe places[count] = request
        count &+= 1
    }

    package subscript(_ index: Int) -> IORequest {
        precondition(index < count)
        return unsafe places[index]
    }

    package mutating func removeAll() { count = 0 }

    /// Takes one out. False: it is not here.
    package mutating func remove(_ token: IOToken) -> Bool {
        guard let index = (0..<count).first(where: { unsafe places[$0].token == token }) else {
            return false
        }
        for i in index..<count - 1 { unsafe places[i] = places[i + 1] }
        count -= 1
        return true
    }
}
