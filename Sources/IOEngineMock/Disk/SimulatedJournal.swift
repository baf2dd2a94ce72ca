public import IOEngineCore

/// One thing that happened on a simulated disk.
public struct SimulatedJournalEntry: Hashable, Sendable, CustomStringConvertible {
    public enum Kind: UInt8, Hashable, Sendable {
        /// A request was handed to the disk.
        case submitted
        /// It ended, with a result.
        case completed
        /// Somebody asked to stop it; the result is the number of the answer: 0 cancelled,
        /// 1 requested, 2 too late.
        case cancelAsked
        /// It was dropped with its driver; the result is 1 if its effect came about nevertheless.
        case dropped
        /// The disk crashed.
        case crashed
    }

    public var kind: Kind
    /// The disk's clock.
    public var nanoseconds: Int64
    /// Which driver of the disk, counted from 0.
    public var driver: Int
    public var token: IOToken
    public var action: IOAction
    public var descriptor: Int32
    public var offset: Int64
    public var length: Int
    public var flags: IOFlags
    /// Bytes or a negative errno; 0 where there is none yet.
    public var result: Int

    init(
        _ kind: Kind, _ nanoseconds: Int64, driver: Int, _ request: IORequest, result: Int = 0
    ) {
        self.kind = kind
        self.nanoseconds = nanoseconds
        self.driver = driver
        token = request.token
        action = request.action
        descriptor = request.descriptor
        offset = request.offset
        length = request.length
        flags = request.flags
        self.result = result
    }

    init(crashedAt nanoseconds: Int64) {
        kind = .crashed
        self.nanoseconds = nanoseconds
        driver = 0
        token = IOToken(rawValue: 0)
        action = .noOperation
        descriptor = -1
        offset = 0
        length = 0
        flags = []
        result = 0
    }

    public var description: String {
        if kind == .crashed { return "\(nanoseconds) crashed" }
        var text = "\(nanoseconds) \(kind) \(driver):\(token.slot).\(token.generation) \(action)"
        if descriptor >= 0 { text += " of \(descriptor)" }
        if length > 0 { text += ", \(length) at \(offset)" }
        if !flags.isEmpty { text += ", flags \(flags.rawValue)" }
        switch kind {
        case .submitted, .crashed: break
        case .completed: text += ": \(result)"
        case .cancelAsked, .dropped: text += ": \(result)"
        }
        return text
    }
}

/// Entries up to a limit, and a digest of all.
struct SimulatedJournal {
    private(set) var entries: [SimulatedJournalEntry] = []
    private(set) var count = 0
    private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func add(_ entry: SimulatedJournalEntry) {
        count += 1
        if entries.count < limit { entries.append(entry) }
        mix(UInt64(entry.kind.rawValue) | UInt64(entry.action.rawValue) << 8)
        mix(UInt64(bitPattern: entry.nanoseconds))
        mix(entry.token.rawValue)
        mix(UInt64(entry.driver) << 32 | UInt64(UInt32(bitPattern: entry.descriptor)))
        mix(UInt64(bitPattern: entry.offset))
        mix(UInt64(bitPattern: Int64(entry.length)))
        mix(UInt64(bitPattern: Int64(entry.result)) ^ UInt64(entry.flags.rawValue) << 40)
    }

    private mutating func mix(_ value: UInt64) {
        var mixed = (digest ^ value) &* 0x9e37_79b9_7f4a_7c15
        mixed ^= mixed >> 29
        digest = mixed &* 0xbf58_476d_1ce4_e5b9
    }
}
