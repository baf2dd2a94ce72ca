/// The bound on bytes in flight.
extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Whether an event fits below the bound, or is alone.
    @usableFromInline
    func hasBytes(for event: borrowing IOEvent<Callback>) -> Bool {
        bytesInFlight == 0 || event.bytesToMove <= maximumBytes &- bytesInFlight
    }

    /// Charges an accepted event.
    @usableFromInline
    mutating func chargeBytes(_ number: UInt32) {
        let event = unsafe slots.event(number)
        guard unsafe event.pointee.action.isTransfer else { return }
        let bytes = unsafe event.pointee.bytesToMove
        unsafe policies[Int(number)].bytes = bytes
        unsafe event.pointee.status.insert(.hasPolicy)
        bytesInFlight += bytes
    }
}

extension IOEvent where Callback: ~Copyable {
    /// Bytes that a transfer moves when it is submitted as it is now.
    @usableFromInline
    package var bytesToMove: Int {
        switch action {
        case .read: movesWholeBuffer ? buffer.capacity : wantedLength
        case .write: movesWholeBuffer ? buffer.count : wantedLength
        case .readVectored: vectored?.length(reading: true) ?? 0
        case .writeVectored: vectored?.length(reading: false) ?? 0
        case .syncData, .syncFull, .allocate, .noOperation: 0
        }
    }
}
