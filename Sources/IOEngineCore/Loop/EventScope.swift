/// Which events a cancellation is for.
///
/// A descriptor's number may have had several owners, one after the other, and events of more than
/// one of them may be there: an owner is told by its object, or by having none.
@usableFromInline
enum EventScope: Sendable {
    case all
    /// Events that name a plain number, not those of an object that has the number.
    case number(Int32)
    case object(IODescriptor)

    @usableFromInline
    func includes<Callback: IOCallback & ~Copyable>(
        _ event: borrowing IOEvent<Callback>
    ) -> Bool {
        switch self {
        case .all: true
        case .number(let number): event.descriptor == number && event.descriptorObject == nil
        case .object(let object): event.descriptorObject === object
        }
    }

    /// Whether both are for the same events.
    func isSame(as other: EventScope) -> Bool {
        switch (self, other) {
        case (.all, .all): true
        case (.number(let number), .number(let another)): number == another
        case (.object(let object), .object(let another)): object === another
        case (.all, _), (.number, _), (.object, _): false
        }
    }
}
