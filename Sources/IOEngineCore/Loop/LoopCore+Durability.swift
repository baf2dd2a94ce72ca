/// What is kept of errors that the kernel tells once.
///
/// An open file has one mark for lost data. A sync takes it, and so does a write that is to be durable,
/// because the kernel does the sync for it: whoever comes next is told that all is well.
extension LoopCore where Callback: ~Copyable, Driver: ~Copyable {
    /// Keeps the failure of a sync or of a durable write, so that later syncs of the descriptor answer
    /// it until the user clears it.
    @usableFromInline
    func keepLoss(_ number: UInt32) {
        let event = unsafe slots.event(number)
        guard let record = unsafe slots.slot(number).pointee.record,
            unsafe mayHaveLostData(event, record)
        else { return }
        let errno = unsafe event.pointee.failure.errno
        unsafe event.pointee.failure = IOFailure(errno: errno, reason: .dataMayBeLost)
        unsafe keep(errno, of: event, record)
    }

    /// The object of a sync or a durable write in flight whose end nobody will hear, because its driver
    /// is dead: it may still take the kernel's word.
    func objectOfUnseenEnd(_ number: UInt32) -> IODescriptor? {
        let event = unsafe slots.event(number)
        guard let record = unsafe slots.slot(number).pointee.record,
            unsafe takesKernelsWord(event, record)
        else { return nil }
        return unsafe event.pointee.descriptorObject
    }

    private func keep(
        _ errno: Int32, of event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) {
        if let object = unsafe event.pointee.descriptorObject {
            object.setSyncError(errno)
        } else if unsafe record.pointee.syncErrno == 0 {
            unsafe record.pointee.syncErrno = errno
        }
    }

    /// A sync, or a write that is durable when it has finished.
    private func takesKernelsWord(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> Bool {
        let action = unsafe event.pointee.action
        if action.isSync { return true }
        return unsafe action.isWrite
            && (event.pointee.flags.makeDurable
                || event.pointee.descriptorObject.map { $0.facts.isSynchronous }
                    ?? record.pointee.traits.contains(.synchronous))
    }

    /// Whether the event's failure may have been the kernel's only word on data that is lost. See
    /// ``IODescriptor/syncError`` for what is not.
    private func mayHaveLostData(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> Bool {
        let failure = unsafe event.pointee.failure
        // Other reasons are the engine's own: it was refused, stopped, or put off too often.
        guard failure.reason == .kernel, unsafe takesKernelsWord(event, record) else {
            return false
        }
        let errno = failure.errno
        if errno == Errnos.interrupted || errno == Errnos.again { return false }
        if unsafe event.pointee.action.isSync {
            // What cannot be synced, as `fsync(2)` says it, has nothing to lose.
            return unsafe errno != Errnos.invalidArgument || record.pointee.keepsData
        }
        if errno == Errnos.invalidArgument || errno == Errnos.notSupported {
            // What the kernel may refuse before it writes: places that direct IO does not take, and
            // flags. Without these it comes from the file system.
            return unsafe !record.pointee.traits.contains(.direct)
                && event.pointee.flags.isSubset(of: [.dataSync, .sync, .highPriority])
        }
        return true
    }
}
