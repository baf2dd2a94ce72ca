/// What one loop keeps about one descriptor number.
@safe @frozen @usableFromInline
struct DescriptorRecord {
    /// Events of it that the loop has accepted and not handed back.
    @usableFromInline var inFlight: Int32 = 0
    /// Of these, those that go by the descriptor object which the record belongs to.
    @usableFromInline var objectInFlight: Int32 = 0
    /// Where the driver registered it, or -1.
    @usableFromInline var registeredIndex: Int32 = -1
    /// Events since the object's last pause: since it had none in flight. Wraps.
    @usableFromInline var streak: UInt32 = 0
    /// The object while the loop holds it, retained.
    @usableFromInline var object: Unmanaged<IODescriptor>?
    /// The loop holds the object although nothing of it may be in flight; see ``LoopCore/lingering``.
    @usableFromInline var isLingering = false
    /// Registered by the loop itself, for as long as the object is busy.
    @usableFromInline var isBusyRegistered = false
    /// What a sync or a durable write on a plain descriptor failed with; 0: nothing.
    @usableFromInline var syncErrno: Int32 = 0
    /// Writes and allocates not yet settled that were accepted after the last held sync.
    @usableFromInline var writesOpen: Int32 = 0
    /// Counts held syncs; each write carries the number that was current when it was accepted. Wraps.
    @usableFromInline var epoch: UInt32 = 0
    /// Syncs that wait for writes, oldest first: slot number + 1, 0 for none.
    @usableFromInline var heldFirst: UInt32 = 0
    @usableFromInline var heldLast: UInt32 = 0
    /// The direct append whose turn it is, and those that wait for theirs: slot number + 1.
    @usableFromInline var appendTurn: UInt32 = 0
    @usableFromInline var appendFirst: UInt32 = 0
    @usableFromInline var appendLast: UInt32 = 0
    /// Whose facts these are: an ``IODescriptor``'s identity, or 0 for a plain number.
    @usableFromInline var identity: UInt64 = 0
    @usableFromInline var isKnown = false
    /// Known, seekable, no directory, not appending: transfers need no further look.
    @usableFromInline var isPlain = false
    /// What reads, writes and allocates are refused with, if they are; `.kernel`: nothing.
    @usableFromInline var refusal: IOError.Reason = .kernel
    /// O_APPEND: writes are never split or continued.
    @usableFromInline var isAppending = false
    /// A file, a directory or a block device: something that a sync makes durable.
    @usableFromInline var keepsData = false
    /// What requests tell the driver of the file.
    @usableFromInline var traits: IODescriptorTraits = []
    /// Of offsets in direct IO; 0: none is needed, or it is not known.
    @usableFromInline var alignmentLogarithm: UInt8 = 0

    /// Device and inode, by which a reused number is recognised, and what tells two files apart that had
    /// one inode, one after the other.
    @usableFromInline var device: UInt64 = 0
    @usableFromInline var inode: UInt64 = 0
    @usableFromInline var birth: Int64 = 0
    @usableFromInline var generation: UInt32 = 0

    /// An object without a pause for that many events is registered with the driver: it spares the
    /// kernel looking the number up for each IO (3 % of a 4 KiB read that needs no device), and costs
    /// two system calls. Only objects, because their number cannot be closed under an IO.
    @inlinable static var busyStreak: UInt32 { 1024 }

    /// The identity of a record whose owner has closed the number under what was given up.
    static var nobody: UInt64 { .max }

    @usableFromInline init() {}

    /// Holds an object for the first event of it. False: it is closed.
    @usableFromInline
    mutating func hold(_ object: IODescriptor) -> Bool {
        guard object.hold() else { return false }
        unsafe self.object = .passRetained(object)
        return true
    }

    /// Ends that.
    mutating func dropObject() {
        guard let object = unsafe self.object else { return }
        unsafe self.object = nil
        unsafe object._withUnsafeGuaranteedRef { $0.release() }
        unsafe object.release()
    }

    /// Nothing is in flight, or somebody wants the object closed.
    @inlinable
    var isIdle: Bool {
        unsafe objectInFlight == 0 || object?._withUnsafeGuaranteedRef { $0.isClosed } ?? false
    }

    /// Takes over what is known of a file, and forgets what belonged to the file before.
    mutating func adopt(_ facts: IODescriptorFacts, identity: UInt64) {
        self.identity = identity
        isKnown = true
        isAppending = facts.isAppending
        keepsData = [.regular, .blockDevice, .directory].contains(facts.kind)
        traits = IODescriptorTraits(facts)
        alignmentLogarithm =
            facts.isDirect && facts.offsetAlignment > 0
            ? UInt8(truncatingIfNeeded: facts.offsetAlignment.trailingZeroBitCount) : 0
        // What an earlier sync lost is lost, whoever asks.
        if !isOf(facts) { syncErrno = 0 }
        device = facts.device
        inode = facts.inode
        birth = facts.birth
        generation = facts.generation
        if facts.isPathOnly {
            refusal = .pathOnly
        } else if facts.kind == .directory {
            refusal = .isDirectory
        } else if !facts.isSeekable {
            refusal = .notSeekable
        } else {
            refusal = .kernel
        }
        isPlain = refusal == .kernel && !isAppending
    }

    /// Whether these are facts of the same file. Inodes are used again once their file is removed; a new
    /// file in one has another time of birth or another generation.
    func isOf(_ facts: IODescriptorFacts) -> Bool {
        // 0: not known, for example because a filter refuses the question.
        device == facts.device && inode == facts.inode
            && (birth == facts.birth || birth == 0 || facts.birth == 0)
            && (generation == facts.generation || generation == 0 || facts.generation == 0)
    }
}

/// A loop's records by descriptor number, in pages, so that a high number costs little memory.
///
/// Owns all of it. A record never moves, so slots keep pointers to theirs.
@safe @frozen @usableFromInline
struct DescriptorTable: ~Copyable {
    /// Numbers in one page.
    @inlinable static var pageSize: Int { 256 }
    /// Grows with the highest number that is open: 8 bytes for each 256 numbers, and a page of records
    /// only where there are numbers in use.
    @usableFromInline var pages: UnsafeMutableBufferPointer<UnsafeMutablePointer<DescriptorRecord>?>

    @usableFromInline
    init() {
        unsafe pages = .allocate(capacity: 16)
        unsafe pages.initialize(repeating: nil)
    }

    @usableFromInline
    deinit {
        for i in unsafe pages.indices {
            guard let records = unsafe pages[i] else { continue }
            // What a dead driver still has: the object goes, its number stays open.
            for number in 0..<DescriptorTable.pageSize { unsafe records[number].object?.release() }
            unsafe records.deallocate()
        }
        unsafe pages.deallocate()
    }

    /// The record of a number that was seen before. `number` is not negative.
    @inlinable @inline(__always)
    func find(_ number: Int32) -> UnsafeMutablePointer<DescriptorRecord>? {
        let page = Int(number) / DescriptorTable.pageSize
        guard unsafe page < pages.count, let records = unsafe pages[page] else { return nil }
        return unsafe records + Int(number) % DescriptorTable.pageSize
    }

    /// The record of a number, made if there is none.
    @usableFromInline
    mutating func findOrMake(_ number: Int32) -> UnsafeMutablePointer<DescriptorRecord> {
        if let record = unsafe find(number) { return unsafe record }
        let page = Int(number) / DescriptorTable.pageSize
        if unsafe page >= pages.count {
            let larger = unsafe UnsafeMutableBufferPointer<
                UnsafeMutablePointer<DescriptorRecord>?
            >.allocate(capacity: max(page + 1, pages.count * 2))
            unsafe larger.initialize(repeating: nil)
            for i in unsafe pages.indices { unsafe larger[i] = pages[i] }
            unsafe pages.deallocate()
            unsafe pages = larger
        }
        let records = UnsafeMutablePointer<DescriptorRecord>.allocate(
            capacity: DescriptorTable.pageSize)
        unsafe records.initialize(repeating: DescriptorRecord(), count: DescriptorTable.pageSize)
        unsafe pages[page] = unsafe records
        return unsafe records + Int(number) % DescriptorTable.pageSize
    }
}
