/// Completions that wait to be reaped, oldest first. Room for all requests in flight: pushing never
/// fails.
@safe @usableFromInline
package struct CompletionQueue: ~Copyable {
    private let places: UnsafeMutableBufferPointer<IOCompletion>
    private var head = 0
    @usableFromInline package private(set) var count = 0

    /// - Parameter capacity: At least 1.
    package init(capacity: Int) {
        unsafe places = .allocate(capacity: capacity)
        unsafe places.initialize(
            repeating: IOCompletion(token: IOToken(rawValue: 0), result: 0))
    }

    deinit { unsafe places.deallocate() }

    package var isEmpty: Bool { count == 0 }

    package mutating func push(_ token: IOToken, _ result: Int) {
        precondition(unsafe count < places.count, "a request in flight has one completion")
        var place = head &+ count
        if unsafe place >= places.count { unsafe place &-= places.count }
        unsafe places[place] = IOCompletion(token: token, result: result)
        count &+= 1
    }

    /// Moves as many as there is room for.
    package mutating func pop(into completions: inout OutputSpan<IOCompletion>) {
        while count > 0, !completions.isFull {
            unsafe completions.append(places[head])
            head &+= 1
            if unsafe head == places.count { head = 0 }
            count &-= 1
        }
    }

    package func contains(_ token: IOToken) -> Bool {
        (0..<count).contains { index in
            var place = head &+ index
            if unsafe place >= places.count { unsafe place &-= places.count }
            return unsafe places[place].token == token
        }
    }
}
