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
    @usableFromInline var ready: SlotQueue
    /// Accepted while the driver had no room.
    @usableFromInline var waiting: SlotQueue

    @usableFromInline var table = DescriptorTable()
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
    /// RLIMIT_FSIZE when the loop was made: writes that start at or past it would kill the process
    /// with SIGXFSZ, so they are refused here.
    @usableFromInline let fileSizeLimit: Int64

    /// No limit on file sizes, and a driver that does everything: transfers need no further look.
    @usableFromInline let allowsEverything: Bool

    @usableFromInline var isClosed = false
    /// The driver is gone for good: closed for ever.
    @usableFromInline var isGone = false
    @usableFromInline var statistics = IOStatistics()
    @usableFromInline var latencies: IOLatencies?
    /// By slot, nanoseconds on the driver's clock; nil unless latencies are recorded.
    @usableFromInline let submissionTimes: UnsafeMutablePointer<Int64>?
    @usableFromInline let thread: UInt

    @usableFromInline
    init(
        depth: Int, driver: consuming Driver, capabilities: IOCapabilities, recordsLatencies: Bool,
        firstGeneration: UInt32
    ) {
        self.driver = driver
        self.depth = depth
        freeCount = depth
        slots = SlotTable(depth: depth, firstGeneration: firstGeneration)
        unsafe free = .allocate(capacity: depth)
        for i in 0..<depth { unsafe (free + i).initialize(to: UInt32(depth - 1 - i)) }
        unsafe completions = .allocate(capacity: min(depth, 256))
        ready = SlotQueue(depth: depth)
        waiting = SlotQueue(depth: depth)
        maximumVectors = min(max(1, capabilities.maximumVectors), IOVector.maximumCount)
        var bits: UInt16 = 0
        for action in capabilities.actions { bits |= 1 << action.rawValue }
        if bits & 1 << IOAction.read.rawValue != 0 { bits |= 1 << IOAction.readVectored.rawValue }
        if bits & 1 << IOAction.write.rawValue != 0 { bits |= 1 << IOAction.writeVectored.rawValue }
        supportedActions = bits
        registersDescriptors = capabilities.registersDescriptors
        fileSizeLimit = ProcessLimits.fileSize
        let transfers: UInt16 = 0b1111
        allowsEverything = fileSizeLimit == .max && bits & transfers == transfers
        latencies = recordsLatencies ? IOLatencies() : nil
        unsafe submissionTimes = recordsLatencies ? .allocate(capacity: depth) : nil
        thread = ThreadIdentity.current
    }

    /// Only after ``settleAll()``: no event is left.
    @inlinable
    deinit {
        unsafe submissionTimes?.deallocate()
        unsafe free.deallocate()
        unsafe completions.deallocate()
    }

    @inlinable var inFlight: Int { depth &- freeCount }

    /// Completions and refusals that can be handed over without asking the driver.
    @inlinable var available: Int { ready.count &+ completionCount &- completionHead }

    /// Requests that were answered without finishing their event.
    @inlinable var partsFinished: UInt64 { statistics.continuations &+ statistics.retries }

    /// Requests that the driver has.
    @inlinable var atDriver: Int { inFlight &- available &- waiting.count }
}

/// Which thread this is.
@usableFromInline
enum ThreadIdentity {
    @usableFromInline static var current: UInt { UInt(pthread_self()) }
}

enum ProcessLimits {
    /// RLIMIT_FSIZE in bytes, `Int64.max` for none.
    static var fileSize: Int64 {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(1), &limit) == 0 else { return .max }
        return Int64(clamping: limit.rlim_cur)
    }
}
