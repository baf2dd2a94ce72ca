internal import BasicContainers

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Makes the kernel's errno the one answer that all drivers give, and finds out what is needed to
    /// say what to do about it. Only on error paths: it asks the kernel.
    @usableFromInline
    mutating func explain(_ failure: IOFailure, _ number: UInt32) -> IOFailure {
        guard failure.reason == .kernel else { return failure }
        let event = unsafe slots.event(number)
        let action = unsafe event.pointee.action
        switch failure.errno {
        case Errnos.badDescriptor:
            return unsafe explainBadDescriptor(event)
        case Errnos.isDirectory:
            return IOFailure(errno: failure.errno, reason: .isDirectory)
        case Errnos.notRecoverable:
            isGone = true
            isClosed = true
            takesAnything = false
            return IOFailure(errno: failure.errno, reason: .crashed)
        case Errnos.illegalSeek:
            // Files of /proc answer that to a write if they are open for reading only.
            if let facts = try? driver.inspect(unsafe event.pointee.descriptor),
                facts.kind == .regular, let wrong = wrongMode(of: facts, for: action)
            {
                return wrong
            }
            return IOFailure(errno: failure.errno, reason: .notSeekable)
        case Errnos.fileTooLarge where isBeyondFileSizeLimit(number):
            return IOFailure(errno: failure.errno, reason: .fileSizeLimit)
        case Errnos.invalidArgument where action.isTransfer:
            return explainInvalidArgument(number, failure)
        case Errnos.notPermitted, Errnos.noFunction:
            return unsafe explainRefusal(event, failure)
        default:
            return failure
        }
    }

    private func explainBadDescriptor(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>
    ) -> IOFailure {
        guard let facts = try? driver.inspect(unsafe event.pointee.descriptor) else {
            return IOFailure(errno: Errnos.badDescriptor, reason: .closedDescriptor)
        }
        return unsafe wrongMode(of: facts, for: event.pointee.action)
            ?? .kernel(Errnos.badDescriptor)
    }

    /// Nil: it is open for this.
    private func wrongMode(of facts: IODescriptorFacts, for action: IOAction) -> IOFailure? {
        if action.isRead, !facts.isReadable {
            return IOFailure(errno: Errnos.badDescriptor, reason: .notOpenForReading)
        }
        if action.isWrite || action == .allocate, !facts.isWritable {
            return IOFailure(errno: Errnos.badDescriptor, reason: .notOpenForWriting)
        }
        return nil
    }

    /// A file or a filter? The file's refusal stays what it is.
    private func explainRefusal(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>, _ failure: IOFailure
    ) -> IOFailure {
        let calls = unsafe SystemCall.used(
            for: event.pointee.action, event.pointee.flags,
            hasPriority: event.pointee.priority != .inherited)
        guard driver.capabilities.makesSystemCalls,
            let call = SystemCall.refused(among: calls)
        else { return failure }
        return IOFailure(errno: failure.errno, refused: call)
    }

    /// Whether the event would end past RLIMIT_FSIZE, as it is now: the process may change it at any
    /// time.
    private func isBeyondFileSizeLimit(_ number: UInt32) -> Bool {
        let limit = ProcessLimits.fileSize
        if limit == .max { return false }
        let event = unsafe slots.event(number)
        var offset = unsafe event.pointee.offset
        if let record = unsafe slots.slot(number).pointee.record, unsafe appends(event, record),
            let facts = try? driver.inspect(unsafe event.pointee.descriptor)
        {
            // An append begins at the end of the file, whatever its offset.
            offset = facts.size
        }
        return unsafe offset > limit - Int64(event.pointee.length)
    }

    /// Direct IO answers EINVAL both for a wrong alignment and for a write across RLIMIT_FSIZE: the
    /// limit is looked at first.
    private func explainInvalidArgument(_ number: UInt32, _ failure: IOFailure) -> IOFailure {
        let event = unsafe slots.event(number)
        guard let facts = try? driver.inspect(unsafe event.pointee.descriptor), facts.isDirect
        else {
            return failure
        }
        if unsafe event.pointee.action.isWrite && facts.kind == .regular
            && isBeyondFileSizeLimit(number)
        {
            return IOFailure(errno: Errnos.fileTooLarge, reason: .fileSizeLimit)
        }
        // 0: the file does not tell; the logical block size of most devices is a good guess.
        let offsets = facts.offsetAlignment > 0 ? facts.offsetAlignment : 512
        let addresses = facts.memoryAlignment > 0 ? facts.memoryAlignment : 512
        if unsafe isMisaligned(event, offsets: offsets, addresses: addresses) {
            return IOFailure(errno: failure.errno, misalignedFor: max(offsets, addresses))
        }
        return failure
    }

    private func isMisaligned(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>, offsets: Int, addresses: Int
    ) -> Bool {
        let done = unsafe event.pointee.transferred
        let offset = unsafe event.pointee.offset + Int64(done)
        let length = unsafe event.pointee.length - done
        if offset % Int64(offsets) != 0 || length % offsets != 0 { return true }
        guard let storage = unsafe event.pointee.vectored else {
            let address = unsafe UInt(bitPattern: event.pointee.buffer.base)
            let start = unsafe UInt(event.pointee.rangeStart + done)
            return (address + start) % UInt(addresses) != 0
        }
        for i in 0..<storage.buffers.count {
            let buffer = unsafe UInt(bitPattern: storage.buffers[i].base)
            if buffer % UInt(addresses) != 0 { return true }
            let isRead = unsafe event.pointee.action.isRead
            let bytes = isRead ? storage.buffers[i].capacity : storage.buffers[i].count
            if bytes % addresses != 0 { return true }
        }
        return false
    }
}
