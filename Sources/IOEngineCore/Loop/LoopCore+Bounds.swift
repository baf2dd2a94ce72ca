/// The bound on bytes in flight.
extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Whether an event fits below the bound beside all that is charged, or is alone among the
    /// living: bytes of abandoned events stay charged until their requests settle, which may be
    /// never, so nothing waits for them.
    @usableFromInline
    func hasBytes(for event: borrowing IOEvent<Callback>) -> Bool {
        bytesInFlight == abandonedBytes || event.bytesToMove <= maximumBytes &- bytesInFlight
    }

    /// Whether a transfer of one byte would be taken.
    @usableFromInline var hasAnyBytes: Bool {
        bytesInFlight == abandonedBytes || bytesInFlight < maximumBytes
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
    /// Bytes that a transfer moves when it is submitted as it is now; 0 if it is refused for its
    /// range.
    @usableFromInline
    package var bytesToMove: Int {
        switch action {
        case .read: bytesInRange(of: buffer.capacity)
        case .write: bytesInRange(of: buffer.count)
        case .readVectored: vectored?.length(reading: true) ?? 0
        case .writeVectored: vectored?.length(reading: false) ?? 0
        case .syncData, .syncFull, .allocate, .noOperation: 0
        }
    }

    private func bytesInRange(of limit: Int) -> Int {
        let length = movesWholeBuffer ? limit : wantedLength
        guard offset >= 0, length > 0, rangeStart >= 0, rangeStart <= limit,
            length <= limit - rangeStart, offset <= Int64.max - Int64(length)
        else { return 0 }
        return length
    }
}
