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
        if let object = unsafe event.pointee.descriptorObject {
            object.setSyncError(errno)
        } else if unsafe record.pointee.syncErrno == 0 {
            unsafe record.pointee.syncErrno = errno
        }
    }

    /// Whether the event's failure may have been the kernel's only word on data that is lost. See
    /// ``IODescriptor/syncError`` for what is not.
    private func mayHaveLostData(
        _ event: UnsafeMutablePointer<IOEvent<Callback>>,
        _ record: UnsafeMutablePointer<DescriptorRecord>
    ) -> Bool {
        let failure = unsafe event.pointee.failure
        // Other reasons are the engine's own: it was refused, stopped, or put off too often.
        guard failure.reason == .kernel else { return false }
        let errno = failure.errno
        if errno == Errnos.interrupted || errno == Errnos.again { return false }
        if unsafe event.pointee.action.isSync {
            // What cannot be synced, as `fsync(2)` says it, has nothing to lose.
            return unsafe errno != Errnos.invalidArgument || record.pointee.keepsData
        }
        let flags = unsafe event.pointee.flags
        guard unsafe event.pointee.action.isWrite,
            unsafe flags.makeDurable || record.pointee.traits.contains(.synchronous)
        else { return false }
        if errno == Errnos.invalidArgument || errno == Errnos.notSupported {
            // What the kernel may refuse before it writes: places that direct IO does not take, and
            // flags. Without these it comes from the file system.
            return unsafe !record.pointee.traits.contains(.direct)
                && flags.isSubset(of: [.dataSync, .sync, .highPriority])
        }
        return true
    }
}
