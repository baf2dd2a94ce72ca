/// Events of a file whose number still belongs to another file in the loop's records, because requests of
/// that one are in flight: it was closed under them, or they were given up. Nothing that is known of the
/// other file holds for them, its registration least of all.
extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// What is known of a guest's own file. Nil: the number is not open.
    @usableFromInline
    func ownFacts(
        of event: UnsafeMutablePointer<IOEvent<Callback>>
    ) -> DescriptorRecord? {
        var own = DescriptorRecord()
        if let object = unsafe event.pointee.descriptorObject {
            own.adopt(object.facts, identity: object.identity)
        } else if let facts = try? driver.inspect(unsafe event.pointee.descriptor) {
            own.adopt(facts, identity: 0)
        } else {
            return nil
        }
        return own
    }

    /// What is known against an accepted event by now.
    @usableFromInline
    func knownRefusal(
        _ number: UInt32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> IOFailure {
        let event = unsafe slots.event(number)
        guard unsafe slots.slot(number).pointee.machine.traits.contains(.isGuest) else {
            return unsafe knownRefusal(of: event, record)
        }
        guard var own = unsafe ownFacts(of: event) else {
            return IOFailure(errno: Errnos.badDescriptor, reason: .closedDescriptor)
        }
        own.syncErrno = unsafe record.pointee.syncErrno
        return unsafe withUnsafeMutablePointer(to: &own) {
            unsafe knownRefusal(of: event, $0)
        }
    }

    /// The next request of a guest.
    @usableFromInline
    func makeGuestRequest(
        _ number: UInt32, _ slot: UnsafeMutablePointer<LoopSlot>
    ) -> IORequest {
        let action = unsafe slots.event(number).pointee.action
        var request: IORequest
        if action == .read || action == .write, let record = unsafe slot.pointee.record {
            request = unsafe makeTransfer(number, slot, record)
        } else {
            request = unsafe makeRequest(number, slot)
        }
        let own = unsafe ownFacts(of: slots.event(number))
        request.registeredDescriptor = -1
        request.traits = own?.traits ?? []
        request.alignmentLogarithm = own?.alignmentLogarithm ?? 0
        return request
    }
}
