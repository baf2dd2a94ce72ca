public import SystemPackage

extension IOLoop where Callback: ~Copyable, Driver: ~Copyable {
    /// Registers a pool's memory with the driver, so that the kernel need not pin it for each IO.
    ///
    /// One pool at a time: a second takes the place of the first, which is refused (EBUSY) while
    /// anything is in flight, requests of abandoned events included. Without registration
    /// everything works the same, a little slower; the answer says why. Honoured by io_uring.
    public mutating func register(_ pool: IOBufferPool) -> IORegistration {
        unsafe core.pointee.register(pool)
    }

    /// Registers a descriptor with the driver, so that the kernel need not look it up for each IO.
    ///
    /// The loop does this by itself while an `IODescriptor` has events in flight without a pause.
    /// Asked for here, it stays registered until an event names the same number as a plain
    /// descriptor, or until ``unregister(_:)`` or the loop's end; io_uring keeps the file open for
    /// as long, and kernels such as 6.1 up to a second longer. Without registration everything
    /// works the same, a little slower.
    public mutating func register(_ descriptor: IODescriptor) -> IORegistration {
        unsafe core.pointee.register(descriptor.rawValue, descriptor)
    }

    /// The same for a plain descriptor. Tell the loop with ``forget(_:)`` when you close it.
    public mutating func register(_ descriptor: FileDescriptor) -> IORegistration {
        unsafe core.pointee.register(descriptor.rawValue, nil)
    }

    /// Ends a descriptor's registration; that of another owner of the same number stays. False:
    /// events of it are in flight, nothing happened.
    @discardableResult
    public mutating func unregister(_ descriptor: IODescriptor) -> Bool {
        unsafe core.pointee.unregister(descriptor)
    }

    /// Drops what the loop knows of a plain descriptor number, its registration and a failed sync
    /// included. Call it when you close a plain descriptor. What belongs to an ``IODescriptor``
    /// that has the number now stays. False: events of the number are in flight, nothing happened.
    @discardableResult
    public mutating func forget(_ descriptor: FileDescriptor) -> Bool {
        unsafe core.pointee.forget(descriptor.rawValue)
    }

    /// Says that what an earlier, failed sync or durable write of this plain descriptor lost was
    /// written again or is not needed. See ``IODescriptor/syncError``; of a plain descriptor it is kept
    /// by each loop for itself. What an ``IODescriptor`` with this number keeps is cleared by its own
    /// ``IODescriptor/clearSyncError()`` only.
    public mutating func clearSyncError(_ descriptor: FileDescriptor) {
        guard descriptor.rawValue >= 0,
            let record = unsafe core.pointee.table.find(descriptor.rawValue)
        else { return }
        unsafe record.pointee.syncErrno = 0
    }
}

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    mutating func register(_ pool: IOBufferPool) -> IORegistration {
        if unsafe life.pointee.isForked { return .unavailable(errno: Errno.canceled.rawValue) }
        let address = unsafe UInt(bitPattern: Unmanaged.passUnretained(pool.storage).toOpaque())
        if address == registeredPool { return .registered(index: 0) }
        if registeredStorage != nil {
            // The kernel waits for requests on the old one, of abandoned events too, before it lets
            // go.
            guard occupied == 0 else {
                return .unavailable(errno: Errno.resourceBusy.rawValue)
            }
            _ = unsafe driver.register(regions: [])
            registeredStorage = nil
            registeredPool = 0
        }
        let answer = unsafe driver.register(regions: pool.storage.regions)
        if case .registered = answer {
            registeredStorage = pool.storage
            registeredPool = address
            hasOneRegion = pool.storage.count <= pool.storage.buffersPerRegion
        }
        return answer
    }

    mutating func register(_ number: Int32, _ object: IODescriptor?) -> IORegistration {
        if unsafe life.pointee.isForked { return .unavailable(errno: Errno.canceled.rawValue) }
        guard number >= 0, object?.isClosed != true else {
            return .unavailable(errno: Errno.badFileDescriptor.rawValue)
        }
        if object == nil, unsafe table.find(number) == nil, (try? driver.inspect(number)) == nil {
            return .unavailable(errno: Errno.badFileDescriptor.rawValue)
        }
        let record = unsafe table.findOrMake(number)
        let identity = object?.identity ?? 0
        if unsafe !record.pointee.isKnown || record.pointee.identity != identity {
            if unsafe record.pointee.inFlight > 0 {
                return .unavailable(errno: Errno.resourceBusy.rawValue)
            }
            guard unsafe learn(number, object, record) else {
                return .unavailable(errno: Errno.badFileDescriptor.rawValue)
            }
        }
        let known = unsafe record.pointee.registeredIndex
        if known >= 0 {
            // Registered because it was busy: now for longer.
            unsafe record.pointee.isBusyRegistered = false
            return .registered(index: known)
        }
        let answer = driver.register(descriptor: number)
        if case .registered(let index) = answer { unsafe record.pointee.registeredIndex = index }
        return answer
    }

    mutating func unregister(_ object: IODescriptor) -> Bool {
        if unsafe life.pointee.isForked { return false }
        guard object.rawValue >= 0, let record = unsafe table.find(object.rawValue),
            unsafe record.pointee.identity == object.identity
        else { return true }
        if unsafe record.pointee.inFlight > 0 { return false }
        unsafe endLingering(of: record)
        unsafe endRegistration(record)
        return true
    }

    mutating func forget(_ number: Int32) -> Bool {
        if unsafe life.pointee.isForked { return false }
        guard number >= 0, let record = unsafe table.find(number) else { return true }
        if unsafe record.pointee.inFlight > 0 {
            guard unsafe record.pointee.identity == 0, unsafe hasOnlyAbandoned(record) else {
                return false
            }
            // The kernel keeps the file of what it still has. Whoever has the number now is another.
            unsafe endRegistration(record)
            unsafe record.pointee.identity = DescriptorRecord.nobody
            unsafe record.pointee.syncErrno = 0
            return true
        }
        if unsafe record.pointee.identity != 0 {
            // An object's by now; of the plain descriptor only its failed sync is left.
            unsafe record.pointee.syncErrno = 0
            return true
        }
        unsafe endRegistration(record)
        unsafe record.pointee = DescriptorRecord()
        return true
    }

    /// Whether all that is in flight of a descriptor was given up.
    private func hasOnlyAbandoned(_ record: UnsafeMutablePointer<DescriptorRecord>) -> Bool {
        (0..<UInt32(depth)).allSatisfy { number in
            let slot = unsafe slots.slot(number)
            return switch unsafe slot.pointee.machine.state {
            case .vacant, .abandoned: true
            case .held, .waiting, .inFlight, .finished: unsafe slot.pointee.record != record
            }
        }
    }
}
