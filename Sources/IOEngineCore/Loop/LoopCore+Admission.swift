internal import BasicContainers
internal import SystemPackage

extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Takes an event in and stages its first request. What is wrong with it arrives through its
    /// hand-over, never from here.
    @inlinable
    @inline(__always)
    mutating func submit(_ event: consuming IOEvent<Callback>) -> IOSubmission<Callback> {
        if unsafe isClosed || life.pointee.isForked { return .closed(event) }
        guard freeCount > 0, maximumBytes == .max || hasBytes(for: event) else {
            return .full(event)
        }
        return .accepted(accept(event))
    }

    /// The same for an event with limits.
    @inlinable
    mutating func submit(
        _ event: consuming IOEvent<Callback>, _ limits: IOLimits
    ) -> IOSubmission<Callback> {
        if limits.isNone { return submit(event) }
        if unsafe isClosed || life.pointee.isForked { return .closed(event) }
        guard freeCount > 0, maximumBytes == .max || hasBytes(for: event) else {
            return .full(event)
        }
        return .accepted(accept(event, limits))
    }

    /// Takes an event in, with room known to be there. One whose deadline has passed already is not
    /// begun.
    @inlinable @inline(__always)
    mutating func accept(_ event: consuming IOEvent<Callback>, _ limits: IOLimits) -> IOTicket {
        if !limits.isNone, isPast(limits) {
            freeCount &-= 1
            let number = unsafe free[freeCount]
            unsafe slots.event(number).initialize(to: event)
            return enrolLate(number)
        }
        let ticket = accept(event)
        if !limits.isNone { limit(ticket.slot, limits) }
        return ticket
    }

    /// Whether a deadline has passed. Asks the clock only if there is one.
    @inlinable @inline(never)
    func isPast(_ limits: IOLimits) -> Bool {
        limits.deadlineNanoseconds != .max
            && limits.deadlineNanoseconds <= driver.now().nanoseconds
    }

    /// The event in a slot taken from the free ones ends without having begun: its deadline has passed.
    @usableFromInline
    mutating func enrolLate(_ number: UInt32) -> IOTicket {
        let slot = unsafe slots.slot(number)
        if occupied > statistics.largestInFlight { statistics.largestInFlight = occupied }
        noteSubmission(number)
        unsafe slots.event(number).pointee.clearOutcome()
        unsafe slot.pointee.record = nil
        unsafe slot.pointee.machine.accept([])
        statistics.stopped += 1
        statistics.deadlinesPassed += 1
        refuse(number, IOFailure(errno: Errnos.timedOut, reason: .deadlinePassed))
        return unsafe IOTicket(slot: number, generation: slot.pointee.acceptedGeneration)
    }

    /// The same with room known to be there. Returns little, where the outcome with room for an event
    /// costs a copy.
    @inlinable
    mutating func accept(_ event: consuming IOEvent<Callback>) -> IOTicket {
        assert(thread == ThreadIdentity.current, "a loop belongs to the thread that made it")
        freeCount &-= 1
        let number = unsafe free[freeCount]
        unsafe slots.event(number).initialize(to: event)
        return enrol(number)
    }

    /// Starts the event that lies in a slot taken from the free ones.
    ///
    /// - Parameter hold: What it waits for beside what the loop finds itself.
    @inlinable @inline(__always)
    mutating func enrol(_ number: UInt32, hold: HoldReasons = []) -> IOTicket {
        let slot = unsafe slots.slot(number)
        let stored = unsafe slots.event(number)
        if occupied > statistics.largestInFlight { statistics.largestInFlight = occupied }
        noteSubmission(number)
        let failure = unsafe admit(number, stored, slot)
        if failure.isNone {
            if maximumBytes != .max { chargeBytes(number) }
            if !hold.isEmpty { self.hold(number, hold) }
            if unsafe slot.pointee.machine.state == .waiting { stage(number) }
        } else {
            refuseInTurn(number, failure, hold)
        }
        return unsafe IOTicket(slot: number, generation: slot.pointee.acceptedGeneration)
    }

    /// Starts an event again where it lies. If it still names the descriptor where it is entered and is
    /// to move a whole range once more, all that there is to do is to stage it; but somebody may have
    /// put another event in its place. Not in a forked child.
    @inlinable @inline(__always)
    mutating func enrolAgain(_ number: UInt32, _ stay: Stay) {
        let slot = unsafe slots.slot(number)
        let event = unsafe slots.event(number)
        let object = unsafe event.pointee.unretainedObject
        let action = unsafe event.pointee.action
        guard let record = unsafe stay.record,
            // The same address is the same object: the record keeps it.
            unsafe event.pointee.descriptor == stay.descriptor
                && UInt(bitPattern: object?.toOpaque()) == UInt(bitPattern: stay.object?.toOpaque())
                && record.pointee.isPlain && takesAnything && event.pointee.isNewAndUniform
                && !(object?._withUnsafeGuaranteedRef { $0.isClosed } ?? false)
                && event.pointee.takesPlainRange() && waiting.isEmpty
        else {
            return enrolElsewhere(number, stay)
        }
        let isWrite = action == .write
        if isWrite { unsafe noteWrite(number, record) }
        if unsafe object != nil { unsafe noteStreak(stay.descriptor, record) }
        noteSubmission(number)
        let generation = unsafe slot.pointee.acceptedGeneration
        unsafe slot.pointee.generation = generation
        let region =
            registeredPool == 0 ? -1 : unsafe registeredRegion(of: event.pointee.buffer)
        let length = unsafe event.pointee.length
        unsafe slot.pointee.requested = length
        unsafe slot.pointee.machine.accept(isWrite ? [.transfer, .write] : .transfer)
        let request = unsafe IORequest(
            token: IOToken(slot: number, generation: generation), action: action,
            descriptor: stay.descriptor,
            address: event.pointee.buffer.base + event.pointee.rangeStart,
            offset: event.pointee.offset, length: length, priority: event.pointee.priority,
            registeredDescriptor: record.pointee.registeredIndex, registeredRegion: region,
            traits: record.pointee.traits, alignmentLogarithm: record.pointee.alignmentLogarithm)
        guard driver.stage(request) == .queued else { return stageLater(number) }
        unsafe slot.pointee.machine.staged()
    }

    @inlinable @inline(never)
    mutating func enrolElsewhere(_ number: UInt32, _ stay: Stay) {
        leave(stay)
        if isClosed { return refuseClosed(number) }
        _ = enrol(number)
    }

    /// The loop takes nothing any more: the event comes back with ECANCELED.
    @usableFromInline
    mutating func refuseClosed(_ number: UInt32) {
        let slot = unsafe slots.slot(number)
        noteSubmission(number)
        unsafe slots.event(number).pointee.clearOutcome()
        unsafe slot.pointee.record = nil
        unsafe slot.pointee.machine.accept([])
        refuse(number, .cancelled)
    }

    /// One more submission, which begins now.
    @inlinable @inline(__always)
    mutating func noteSubmission(_ number: UInt32) {
        let slot = unsafe slots.slot(number)
        statistics.submitted &+= 1
        if let times = unsafe submissionTimes {
            unsafe times[Int(number)] = latencies == nil ? coarseNow : driver.now().nanoseconds
            unsafe tickets?[Int(number)] = 0
        }
        unsafe slot.pointee.acceptedGeneration = slot.pointee.generation &+ 1
    }

    /// Checks the event and enters it into its descriptor's record. A failure touches neither file
    /// nor record.
    @inlinable @inline(__always)
    mutating func admit(
        _ number: UInt32, _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ slot: UnsafeMutablePointer<LoopSlot>
    ) -> IOFailure {
        unsafe event.pointee.clearOutcome()
        unsafe slot.pointee.record = nil
        let action = unsafe event.pointee.action
        guard unsafe event.pointee.isUniform else { return unsafe admitOther(number, event, slot) }
        unsafe slot.pointee.machine.accept(
            action == .write ? [.transfer, .write] : .transfer)
        let failure = unsafe checkRange(event)
        if !failure.isNone { return failure }
        return unsafe enter(number, event, slot)
    }

    /// Offset, length and range of a transfer with one buffer.
    @inlinable @inline(__always)
    func checkRange(_ event: UnsafeMutablePointer<IOEvent<Callback>>) -> IOFailure {
        let isRead = unsafe event.pointee.action == .read
        let limit = unsafe isRead ? event.pointee.buffer.capacity : event.pointee.buffer.count
        let done = unsafe event.pointee.transferred
        if unsafe event.pointee.movesWholeBuffer && done == 0 && event.pointee.length != limit {
            unsafe event.pointee.wantedLength = limit
        }
        let length = unsafe event.pointee.length
        let start = unsafe event.pointee.rangeStart
        let offset = unsafe event.pointee.offset
        // All in one: the expected case takes these few comparisons.
        if offset >= 0, done < length, start >= 0, length <= limit &- start,
            offset <= Int64.max &- Int64(length),
            unsafe !isRead || start &+ done == 0 || start &+ done <= event.pointee.buffer.count
        {
            return .none
        }
        return unsafe describeRange(event, limit: limit)
    }

    /// Which of the conditions in `checkRange` failed.
    @usableFromInline
    func describeRange(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>, limit: Int
    ) -> IOFailure {
        func invalid(_ reason: IOError.Reason) -> IOFailure {
            IOFailure(errno: Errnos.invalidArgument, reason: reason)
        }
        let length = unsafe event.pointee.length
        let start = unsafe event.pointee.rangeStart
        if unsafe event.pointee.offset < 0 { return invalid(.negativeOffset) }
        if length <= 0 { return invalid(.zeroLength) }
        if unsafe event.pointee.transferred >= length { return invalid(.alreadyDone) }
        let capacity = unsafe event.pointee.buffer.capacity
        if unsafe event.pointee.vectored == nil {
            if start < 0 || length > capacity - start { return invalid(.rangeBeyondBuffer) }
            if unsafe length > limit - start
                || (event.pointee.action == .read
                    && start + event.pointee.transferred > event.pointee.buffer.count)
            {
                return invalid(.rangeBeyondValidBytes)
            }
        }
        return invalid(.offsetTooLarge)
    }

    /// Events off the common path: vectored, with flags, handed over short, or without bytes.
    @inlinable @inline(never)
    mutating func admitOther(
        _ number: UInt32, _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ slot: UnsafeMutablePointer<LoopSlot>
    ) -> IOFailure {
        let action = unsafe event.pointee.action
        var traits: EventStateMachine.Traits = []
        if action.isTransfer {
            traits.insert(.transfer)
            if action.isWrite { traits.insert(.write) }
            if unsafe event.pointee.shortTransfers == .handsOver { traits.insert(.handsOver) }
            if unsafe event.pointee.flags.contains(.noWait) { traits.insert(.noWait) }
            if unsafe action.isWrite && !event.pointee.flags.isDisjoint(with: [.append, .atomic]) {
                traits.insert(.single)
            }
        }
        unsafe slot.pointee.machine.accept(traits)
        switch action {
        case .read, .write:
            let failure = unsafe checkRange(event)
            if !failure.isNone { return failure }
        case .readVectored, .writeVectored:
            if unsafe event.pointee.transferred == 0 {
                unsafe event.pointee.wantedLength =
                    event.pointee.vectored?.length(reading: action.isRead) ?? 0
            }
            let length = unsafe event.pointee.length
            let offset = unsafe event.pointee.offset
            if unsafe event.pointee.transferred > 0 && event.pointee.transferred < length,
                unsafe event.pointee.vectored?.canContinue(
                    from: event.pointee.transferred, of: length, reading: action.isRead) != true
            {
                return IOFailure(errno: Errnos.invalidArgument, reason: .rangeBeyondValidBytes)
            }
            if unsafe offset < 0 || event.pointee.transferred >= length
                || offset > Int64.max - Int64(length)
            {
                return unsafe describeRange(event, limit: length)
            }
        case .allocate:
            let length = unsafe event.pointee.length
            if unsafe event.pointee.offset < 0 || length <= 0
                || event.pointee.offset > Int64.max - Int64(length)
            {
                return unsafe describeAllocation(event)
            }
        case .syncData, .syncFull:
            break
        case .noOperation:
            return supports(action)
        }
        if unsafe isTooLargeToStayWhole(event, slot) {
            return IOFailure(errno: Errnos.invalidArgument, reason: .tooLargeToSplit)
        }
        return unsafe enter(number, event, slot)
    }

    @usableFromInline
    func describeAllocation(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>
    ) -> IOFailure {
        let isNegative = unsafe event.pointee.offset < 0
        let isEmpty = unsafe event.pointee.length <= 0
        return IOFailure(
            errno: Errnos.invalidArgument,
            reason: isNegative ? .negativeOffset : isEmpty ? .zeroLength : .offsetTooLarge)
    }

    @inlinable
    func supports(_ action: IOAction) -> IOFailure {
        supportedActions & 1 << UInt16(action.rawValue) != 0
            ? .none : IOFailure(errno: Errnos.notSupported, reason: .unsupportedAction)
    }

    /// Counts the event into its descriptor's record, if the descriptor takes it.
    @inlinable @inline(__always)
    mutating func enter(
        _ number: UInt32, _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ slot: UnsafeMutablePointer<LoopSlot>
    ) -> IOFailure {
        let descriptor = unsafe event.pointee.descriptor
        guard descriptor >= 0, let record = unsafe table.find(descriptor),
            unsafe record.pointee.isPlain && event.pointee.action.isTransfer
                && !event.pointee.flags.contains(.append) && allowsEverything
        else { return unsafe enterChecked(number, event, slot) }
        // The expected case: seen before, and nothing special about it.
        if let object = unsafe event.pointee.unretainedObject {
            guard
                unsafe object._withUnsafeGuaranteedRef({
                    unsafe $0.identity == record.pointee.identity && !$0.isClosed
                        && (record.pointee.objectInFlight > 0 || record.pointee.isLingering
                            || record.pointee.hold($0))
                })
            else { return unsafe enterChecked(number, event, slot) }
            unsafe record.pointee.objectInFlight &+= 1
            unsafe noteStreak(event.pointee.descriptor, record)
        } else if unsafe record.pointee.identity != 0 {
            return unsafe enterChecked(number, event, slot)
        }
        unsafe record.pointee.inFlight &+= 1
        unsafe slot.pointee.record = unsafe record
        if unsafe !event.pointee.action.isRead { unsafe noteWrite(number, record) }
        return .none
    }

    @inlinable @inline(never)
    mutating func enterChecked(
        _ slotNumber: UInt32, _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ slot: UnsafeMutablePointer<LoopSlot>
    ) -> IOFailure {
        let number = unsafe event.pointee.descriptor
        let action = unsafe event.pointee.action
        let bad = Errnos.badDescriptor
        if number < 0 { return IOFailure(errno: bad, reason: .negativeDescriptor) }
        let unsupported = supports(action)
        if !unsupported.isNone { return unsupported }
        let object = unsafe event.pointee.descriptorObject
        if let object, object.isClosed { return IOFailure(errno: bad, reason: .closedDescriptor) }
        if object == nil, unsafe table.find(number) == nil, (try? driver.inspect(number)) == nil {
            return IOFailure(errno: bad, reason: .closedDescriptor)
        }
        let record = unsafe table.findOrMake(number)
        let identity = object?.identity ?? 0
        if unsafe !record.pointee.isKnown
            || (record.pointee.identity != identity && record.pointee.inFlight == 0)
        {
            if unsafe !learn(number, object, record) {
                return IOFailure(errno: bad, reason: .closedDescriptor)
            }
        }
        // Two owners of one number at once: what is known of the other does not hold for this one.
        let isGuest = unsafe record.pointee.identity != identity
        guard var own = unsafe isGuest ? ownFacts(of: event) : record.pointee else {
            return IOFailure(errno: bad, reason: .closedDescriptor)
        }
        let failure: IOFailure
        if isGuest {
            own.syncErrno = unsafe record.pointee.syncErrno
            failure = unsafe withUnsafeMutablePointer(to: &own) {
                unsafe knownRefusal(of: event, $0)
            }
        } else {
            failure = unsafe refusal(of: event, record)
            own = unsafe record.pointee
        }
        if !failure.isNone { return failure }
        let isAppend = unsafe withUnsafeMutablePointer(to: &own) { unsafe appends(event, $0) }
        if isAppend { unsafe slot.pointee.machine.traits.insert(.single) }
        if unsafe isTooLargeToStayWhole(event, slot) {
            return IOFailure(errno: Errnos.invalidArgument, reason: .tooLargeToSplit)
        }
        if let object {
            if unsafe record.pointee.identity == identity {
                if unsafe record.pointee.objectInFlight == 0 && !record.pointee.isLingering
                    && !record.pointee.hold(object)
                {
                    return IOFailure(errno: bad, reason: .closedDescriptor)
                }
                unsafe record.pointee.objectInFlight += 1
            } else if !object.hold() {
                return IOFailure(errno: bad, reason: .closedDescriptor)
            }
        }
        if isGuest { unsafe slot.pointee.machine.traits.insert(.isGuest) }
        unsafe record.pointee.inFlight += 1
        unsafe slot.pointee.record = unsafe record
        if action.changesData {
            unsafe noteWrite(slotNumber, record)
            if isAppend, own.traits.contains(.direct) {
                unsafe waitForTurn(slotNumber, record)
            }
        } else if action.isSync {
            unsafe waitForWrites(slotNumber, record)
        }
        return .none
    }

    /// An event that must be one request, and does not fit into one.
    @inlinable
    func isTooLargeToStayWhole(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>, _ slot: UnsafeMutablePointer<LoopSlot>
    ) -> Bool {
        guard unsafe slot.pointee.machine.traits.contains(.single) else { return false }
        if unsafe event.pointee.length > IORequest.maximumTransfer { return true }
        return unsafe event.pointee.vectored.map { $0.count > maximumVectors } ?? false
    }

    /// Fills a record with what is known of a file. False: the number is not open.
    @usableFromInline
    mutating func learn(
        _ number: Int32, _ object: IODescriptor?, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> Bool {
        let facts: IODescriptorFacts
        if let object {
            facts = object.facts
        } else {
            guard let asked = try? driver.inspect(number) else { return false }
            facts = asked
        }
        unsafe endLingering(of: record)
        unsafe endRegistration(record)
        unsafe record.pointee.adopt(facts, identity: object?.identity ?? 0)
        return true
    }

    /// The registration of the file that had this number before.
    @usableFromInline
    mutating func endRegistration(_ record: UnsafeMutablePointer<DescriptorRecord>) {
        let index = unsafe record.pointee.registeredIndex
        if index >= 0 { driver.unregister(descriptorIndex: index) }
        unsafe record.pointee.registeredIndex = -1
        unsafe record.pointee.isBusyRegistered = false
    }

    /// One more event of an object without a pause; at a certain number it counts as busy.
    @inlinable @inline(__always)
    mutating func noteStreak(
        _ number: Int32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        unsafe record.pointee.streak &+= 1
        if unsafe record.pointee.streak == DescriptorRecord.busyStreak {
            unsafe registerBusy(number, record)
        }
    }

    /// Registers a busy object's descriptor. If the driver cannot, everything works without.
    @usableFromInline
    mutating func registerBusy(
        _ number: Int32, _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        guard registersDescriptors, unsafe record.pointee.registeredIndex < 0,
            case .registered(let index) = driver.register(descriptor: number)
        else { return }
        unsafe record.pointee.registeredIndex = index
        unsafe record.pointee.isBusyRegistered = true
    }

    /// The object has nothing in flight any more: it is let go, so that it can be closed for real.
    @usableFromInline
    mutating func pause(_ record: UnsafeMutablePointer<DescriptorRecord>) {
        unsafe record.pointee.streak = 0
        unsafe endRegistrationOfIdle(record)
    }

    /// Ends the registration of an object that is not busy any more, once no request uses it: plain
    /// events of the same number may be in flight longer than the object's own.
    @usableFromInline
    mutating func endRegistrationOfIdle(_ record: UnsafeMutablePointer<DescriptorRecord>) {
        if unsafe record.pointee.isBusyRegistered && record.pointee.inFlight == 0
            && record.pointee.streak == 0
        {
            unsafe endRegistration(record)
        }
    }

    /// What the facts say against the event. Before a plain number is refused, its file is looked at
    /// again: the number may have been closed and given to another file.
    @inlinable
    mutating func refusal(
        of event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> IOFailure {
        let first = unsafe knownRefusal(of: event, record)
        if unsafe first.isNone || event.pointee.descriptorObject != nil { return first }
        return unsafe refusalAfterLooking(first, event, record)
    }

    @usableFromInline
    mutating func refusalAfterLooking(
        _ first: IOFailure, _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> IOFailure {
        let number = unsafe event.pointee.descriptor
        guard let facts = try? driver.inspect(number) else {
            return IOFailure(errno: Errnos.badDescriptor, reason: .closedDescriptor)
        }
        // The old file still has requests in flight, under its facts.
        if unsafe record.pointee.inFlight > 0 { return first }
        if unsafe !record.pointee.isOf(facts) {
            unsafe endLingering(of: record)
            unsafe endRegistration(record)
        } else if unsafe record.pointee.refusal != .pathOnly {
            return first
        }
        unsafe record.pointee.adopt(facts, identity: 0)
        return unsafe knownRefusal(of: event, record)
    }

    @inlinable
    func knownRefusal(
        of event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> IOFailure {
        let action = unsafe event.pointee.action
        if unsafe record.pointee.refusal == .pathOnly && action != .noOperation {
            return IOFailure(errno: Errnos.badDescriptor, reason: .pathOnly)
        }
        if action.isSync {
            let known = unsafe record.pointee.syncErrno
            let object = unsafe event.pointee.descriptorObject
            let sticky = object.map { $0.syncErrorNumber } ?? known
            return sticky == 0 ? .none : IOFailure(errno: sticky, reason: .stickySyncError)
        }
        if action == .noOperation { return .none }
        switch unsafe record.pointee.refusal {
        case .isDirectory: return IOFailure(errno: Errnos.isDirectory, reason: .isDirectory)
        case .notSeekable: return IOFailure(errno: Errnos.illegalSeek, reason: .notSeekable)
        default: return .none
        }
    }

    @inlinable
    func appends(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> Bool {
        guard unsafe event.pointee.action.isWrite else { return false }
        let flags = unsafe event.pointee.flags
        return unsafe flags.contains(.append)
            || (record.pointee.isAppending && !flags.contains(.noAppend))
    }

    /// A bad event is told so at once, or, in a chain, when it would begin: chains order callbacks.
    @usableFromInline
    mutating func refuseInTurn(_ number: UInt32, _ failure: IOFailure, _ hold: HoldReasons) {
        if hold.isEmpty { return refuse(number, failure) }
        unsafe slots.event(number).pointee.failure = failure
        self.hold(number, hold)
    }

    /// An accepted event that will not be done goes straight to its hand-over.
    @usableFromInline
    mutating func refuse(_ number: UInt32, _ failure: IOFailure) {
        unsafe slots.slot(number).pointee.machine.refuse()
        unsafe slots.event(number).pointee.failure = failure
        unsafe slots.event(number).pointee.status.insert(.done)
        ready.push(number)
    }
}
