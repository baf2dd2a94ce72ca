import SystemPackage
import Testing

@testable import IOEngineCore

/// Tickets of a context name the slot that their event got, however many came before and after.
@Suite struct TicketTests {
    typealias Event = Named<NoCallback>

    @Test func aTicketFindsItsSlotAndAStaleOneNone() throws {
        let depth = 8
        let script = TimedScript.steered(depth: depth)
        var configuration = IOContextConfiguration()
        configuration.queueCapacity = depth
        let context = try HandDrivenContext<NoCallback>(script, configuration)
        func submit(_ name: Int) throws -> IOTicket {
            guard case .accepted(let ticket) = context.submit(Event.read(name)) else {
                throw Missing()
            }
            _ = context.cycle()
            return ticket
        }
        func slot(_ ticket: IOTicket) -> UInt32? {
            unsafe context.side.pointee.core.pointee.slot(of: ticket)
        }
        // Two stay for as long as the others come and go.
        let old = [try submit(1), try submit(2)]
        let slots = old.map(slot)
        #expect(slots.allSatisfy { $0 != nil } && slots[0] != slots[1])
        var stale: [IOTicket] = []
        for name in 3..<100 {
            let ticket = try submit(name)
            #expect(slot(ticket) != nil)
            script.answer(name)
            _ = context.cycle()
            stale.append(ticket)
            for ticket in stale { #expect(slot(ticket) == nil) }
            #expect(old.map(slot) == slots)
        }
        context.shutDown()
        script.thaw()
        #expect(context.finish(20))
    }
}
