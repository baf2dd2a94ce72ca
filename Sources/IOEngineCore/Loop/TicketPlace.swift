/// Which slot the event of a ticket was accepted into.
@frozen @usableFromInline
struct TicketPlace {
    /// 0: none.
    @usableFromInline var ticket: UInt64 = 0
    @usableFromInline var slot: UInt32 = 0

    @inlinable init() {}

    @inlinable
    init(ticket: UInt64, slot: UInt32) {
        self.ticket = ticket
        self.slot = slot
    }
}

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Notes the ticket of an event that was not accepted into its slot at first.
    @inlinable @inline(__always)
    func setTicket(_ number: UInt32, _ ticket: UInt64) {
        unsafe tickets?[Int(number)] = ticket
        unsafe places?[Int(ticket & placeMask)] = TicketPlace(ticket: ticket, slot: number)
    }

    /// The slot of an accepted event, if it is still there.
    ///
    /// Cost: none for an event that was accepted into its slot; one look at memory for any other,
    /// unless twice as many events as the depth were accepted since: then 8 bytes a slot are looked
    /// at.
    @usableFromInline
    func slot(of ticket: IOTicket) -> UInt32? {
        guard let tickets = unsafe tickets, let places = unsafe places, !ticket.isOfSlot else {
            return slotOfAcceptance(ticket)
        }
        let raw = ticket.rawValue
        let place = unsafe places[Int(raw & placeMask)]
        if place.ticket == raw {
            return unsafe tickets[Int(place.slot)] == raw ? ifOccupied(place.slot) : nil
        }
        for number in 0..<depth where unsafe tickets[number] == raw {
            return ifOccupied(UInt32(number))
        }
        return nil
    }

    /// The slot of an event that was accepted straight into it.
    private func slotOfAcceptance(_ ticket: IOTicket) -> UInt32? {
        let number = ticket.slot
        guard ticket.isOfSlot, number < UInt32(depth),
            unsafe slots.slot(number).pointee.acceptedGeneration == ticket.generation,
            unsafe (tickets?[Int(number)] ?? 0) == 0
        else { return nil }
        return ifOccupied(number)
    }

    private func ifOccupied(_ number: UInt32) -> UInt32? {
        unsafe slots.slot(number).pointee.machine.state == .vacant ? nil : number
    }
}
