public import BasicContainers
internal import Glibc

/// What an ``IOLoop`` consists of, at an address that stays, so that callbacks can submit while the
/// loop hands events out.
///
/// Ownership: `slots.event(i)` is initialised exactly while `slots.slot(i)` is not vacant. A
/// request in flight points into its event's buffer, so that event is not moved or freed until the
/// driver handed its completion over. All tables are allocated once, here, and freed in `deinit`.
@safe @frozen @usableFromInline
struct LoopCore<Callback: IOCallback & ~Copyable, Driver: IODriver & ~Copyable>: ~Copyable {
    @usableFromInline var driver: Driver
    @usableFromInline let depth: Int
    @usableFromInline let slots: SlotTable<Callback>

    /// Free slots, the last one first: its memory is warm.
    @usableFromInline let free: UnsafeMutablePointer<UInt32>
    @usableFromInline var freeCount: Int

    /// Completions reaped and not yet looked at.
    @usableFromInline let completions: UnsafeMutableBufferPointer<IOCompletion>
    @usableFromInline var completionHead = 0
    @usableFromInline var completionCount = 0

    /// Finished without the driver: refused.
    @usableFromInline var ready: FixedQueue<UInt32>
    /// Accepted while the driver had no room.
    @usableFromInline var waiting: FixedQueue<UInt32>
    /// How often in a row the driver took nothing of that though it had nothing to do.
    @usableFromInline var fruitlessAttempts = 0

    @usableFromInline var table = DescriptorTable()
    /// For contexts: descriptor objects that are not let go the moment nothing of them is in flight, but
    /// when the loop is about to wait. A callback that submits again then finds its descriptor held, and
    /// the loop keeps it registered. A few: each is looked at before every wait.
    @usableFromInline var lingering: [UnsafeMutablePointer<DescriptorRecord>] = unsafe []
    @usableFromInline let lingersAtMost: Int
    /// The pool whose memory is registered with the driver, as an address; 0: none.
    @usableFromInline var registeredPool: UInt = 0
    @usableFromInline var registeredStorage: IOBufferPoolStorage?
    /// A pool up to 1 GiB, as almost all are: every buffer lies in region 0.
    @usableFromInline var hasOneRegion = false

    /// Most vectors of one request; 1: requests without vectors only.
    @usableFromInline let maximumVectors: Int
    /// Bit by ``IOAction`` raw value.
    @usableFromInline let supportedActions: UInt16
    @usableFromInline let registersDescriptors: Bool

    /// A driver that does every transfer: they need no further look.
    @usableFromInline let allowsEverything: Bool
    /// The same, bytes in flight are not counted, and the driver is not gone.
    @usableFromInline var takesAnything: Bool

    /// Draining: takes nothing.
    @usableFromInline var isClosed = false
    @usableFromInline let life: UnsafeMutablePointer<EngineLife>

    /// By slot; see ``SlotPolicy``.
    @usableFromInline let policies: UnsafeMutablePointer<SlotPolicy>
    /// By slot, for writes and allocates: the record's epoch when it was accepted.
    @usableFromInline let epochs: UnsafeMutablePointer<UInt32>
    /// By slot, for contexts: the ticket of an event that was not accepted into a slot at first; 0: none.
    @usableFromInline let tickets: UnsafeMutablePointer<UInt64>?
    /// For contexts, by the lowest bits of a ticket: the latest such ticket and its event's slot,
    /// so that a cancellation does not look through all slots.
    @usableFromInline let places: UnsafeMutablePointer<TicketPlace>?
    @usableFromInline let placeMask: UInt64
    @usableFromInline var timers: SlotTimers
    /// Events that begin when something else has ended; of these, syncs that wait for writes.
    @usableFromInline var heldCount = 0
    @usableFromInline var heldSyncs = 0
    /// Slots of events that were handed over without their memory.
    @usableFromInline var abandonedCount = 0
    /// Somebody waits for what a layer may be holding back.
    @usableFromInline var needsHaste = false
    @usableFromInline let maximumBytes: Int
    @usableFromInline var bytesInFlight = 0
    /// Abandoned events on their way to their callbacks, without their memory.
    @usableFromInline var husks = UniqueArray<IOEvent<Callback>>()
    @usableFromInline var huskCount = 0
    @usableFromInline var settlements: [IOSettlement] = []
    /// Events that the drain under way still waits for.
    @usableFromInline var drainRemaining = 0
    /// The time that submissions carry where latencies are not recorded, as set by a context.
    @usableFromInline var coarseNow: Int64 = 0
    /// The driver is gone for good: closed for ever.
    @usableFromInline var isGone = false
    /// The driver does not work any more: nothing is staged.
    @usableFromInline var isDead = false
    /// How many of `ready` the pass under way may still take; negative: it has not looked yet.
    @usableFromInline var readyQuota = -1
    /// Refusals that were handed out since the last flush on their account.
    @usableFromInline var refusalsTaken = 0
    /// Of `bytesInFlight`, those of abandoned events.
    @usableFromInline var abandonedBytes = 0
    /// For contexts: abandoned events whose requests have settled. They are destroyed outside any
    /// access to the loop, because the deallocator of adopted memory may submit to it.
    @usableFromInline var reclaimed = UniqueArray<IOEvent<Callback>>()
    @usableFromInline var statistics = IOStatistics()
    /// Times that an event's own limit passed.
    @usableFromInline var limitsPassed: UInt64 = 0
    @usableFromInline var latencies: IOLatencies?
    /// By slot, nanoseconds on the driver's clock; nil unless latencies are recorded.
    @usableFromInline let submissionTimes: UnsafeMutablePointer<Int64>?
    @usableFromInline let thread: UInt

    /// What a loop is made with.
    @frozen @usableFromInline
    struct Options {
        @usableFromInline var recordsLatencies = false
        /// For a context: submission times and tickets by slot.
        @usableFromInline var servesContext = false
        @usableFromInline var maximumBytes = Int.max
        @usableFromInline var firstGeneration: UInt32 = 0

        @inlinable init() {}
    }

    @usableFromInline
    init(
        depth: Int, driver: consuming Driver, capabilities: IOCapabilities, _ options: Options
    ) {
        self.driver = driver
        self.depth = depth
        freeCount = depth
        unsafe life = EngineLife.begin()
        slots = SlotTable(depth: depth, firstGeneration: options.firstGeneration)
        unsafe policies = .allocate(capacity: depth)
        unsafe policies.initialize(repeating: SlotPolicy(), count: depth)
        unsafe epochs = .allocate(capacity: depth)
        unsafe epochs.initialize(repeating: 0, count: depth)
        unsafe tickets = options.servesContext ? .allocate(capacity: depth) : nil
        unsafe tickets?.initialize(repeating: 0, count: depth)
        var size = 2
        while size < 2 * depth { size *= 2 }
        placeMask = UInt64(size - 1)
        unsafe places = options.servesContext ? .allocate(capacity: size) : nil
        unsafe places?.initialize(repeating: TicketPlace(), count: size)
        timers = SlotTimers(depth: depth)
        maximumBytes = options.maximumBytes
        lingersAtMost = options.servesContext ? 8 : 0
        unsafe lingering.reserveCapacity(lingersAtMost)
        unsafe free = .allocate(capacity: depth)
        for i in 0..<depth { unsafe (free + i).initialize(to: UInt32(depth - 1 - i)) }
        // One more than can come at once: what does not fill it is all there is.
        unsafe completions = .allocate(capacity: min(depth + 1, 256))
        ready = FixedQueue(capacity: depth, filler: 0)
        waiting = FixedQueue(capacity: depth, filler: 0)
        maximumVectors = min(max(1, capabilities.maximumVectors), IOVector.maximumCount)
        var bits: UInt16 = 0
        for action in capabilities.actions { bits |= 1 << action.rawValue }
        if bits & 1 << IOAction.read.rawValue != 0 { bits |= 1 << IOAction.readVectored.rawValue }
        if bits & 1 << IOAction.write.rawValue != 0 { bits |= 1 << IOAction.writeVectored.rawValue }
        supportedActions = bits
        registersDescriptors = capabilities.registersDescriptors
        let transfers: UInt16 = 0b1111
        allowsEverything = bits & transfers == transfers
        takesAnything = allowsEverything && options.maximumBytes == .max
        latencies = options.recordsLatencies ? IOLatencies() : nil
        let keepsTimes = options.recordsLatencies || options.servesContext
        unsafe submissionTimes = keepsTimes ? .allocate(capacity: depth) : nil
        unsafe submissionTimes?.initialize(repeating: 0, count: depth)
        thread = ThreadIdentity.current
        FileSizeSignal.block()
    }

    /// Only after ``settleAll()``: no event is left.
    @inlinable
    deinit {
        FileSizeSignal.unblock()
        unsafe submissionTimes?.deallocate()
        unsafe tickets?.deallocate()
        unsafe places?.deallocate()
        unsafe policies.deallocate()
        unsafe epochs.deallocate()
        unsafe EngineLife.end(life)
        unsafe free.deallocate()
        unsafe completions.deallocate()
    }

    /// Slots in use, those of abandoned events included.
    @inlinable var occupied: Int { depth &- freeCount }

    /// The most slots that can come free without an abandoned request settling, which it may never
    /// do.
    @inlinable var usableSlots: Int { depth &- abandonedCount }

    /// Events accepted and not handed over.
    @inlinable var inFlight: Int { occupied &- abandonedCount &+ huskCount }

    /// Completions and refusals that can be handed over without asking the driver.
    @inlinable var available: Int {
        ready.count &+ huskCount &+ completionCount &- completionHead
    }

    /// What happened to events without finishing them: requests that were answered, and limits that
    /// passed.
    @inlinable var partsFinished: UInt64 {
        statistics.continuations &+ statistics.retries &+ limitsPassed
    }

    /// Requests that the driver has, those of abandoned events included.
    @inlinable var atDriver: Int {
        occupied &- ready.count &- (completionCount &- completionHead) &- waiting.count
            &- heldCount
    }
}

/// Which thread this is.
@usableFromInline
enum ThreadIdentity {
    @usableFromInline static var current: UInt { UInt(pthread_self()) }

    /// Processors that are online. Here, where CLinux is not imported: both modules have the constant, and the
    /// compiler then hides it from files that import only one.
    static var onlineProcessors: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

    /// Lets another thread run.
    @usableFromInline static func yield() { _ = sched_yield() }
}

/// Limits of the process, which may change at any time.
enum ProcessLimits {
    /// RLIMIT_FSIZE in bytes, `Int64.max` for none.
    static var fileSize: Int64 {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(1), &limit) == 0 else { return .max }
        return Int64(clamping: limit.rlim_cur)
    }
}
