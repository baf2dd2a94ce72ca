/// A demand on every driver.
public enum ContractRule: String, CaseIterable, Hashable, Sendable {
    case capabilities
    case exactlyOnce
    case tokens
    case depth
    case full
    case reaping
    case deadlines
    case waking
    case earlyWaking
    case busyWaking
    case lateWaking
    case idling
    case progress
    case cancelling
    case cancellingNothing
    case dropping
    case memory
    case transfers
    case visibility
    case endOfFile
    case vectors
    case syncs
    case flags
    case allocating
    case errors
    case neighbours
    case hastening
    case clock
    case inspecting
    case registration
    case mixture
    case loopErrors
    case loopTransfers
    case loopEnds

    /// The demand in a sentence.
    public var demand: String {
        switch self {
        case .capabilities:
            "capabilities name the driver, say nothing impossible, do not change, and hold"
        case .exactlyOnce: "a request that was queued is completed exactly once"
        case .tokens: "a completion carries the token of its request, generation included"
        case .depth:
            "as many requests as the depth are queued without being reaped, and no more"
        case .full: "a request that found no room has no effect"
        case .reaping: "reaping takes as many completions as fit, and keeps the others"
        case .deadlines:
            "with nothing in flight a wait ends at its deadline, not before, and soon after"
        case .waking: "every wake-up ends a wait, the one that goes on or the next, which says so"
        case .earlyWaking:
            "a wake-up that the driver sees between two waits is told of by the next one"
        case .busyWaking:
            "also with requests in flight, while they fail or are repeated, a wait tells of a wake-up"
        case .lateWaking: "a waker does no harm when its driver is gone"
        case .idling: "a wait uses no CPU"
        case .progress: "with something in flight, submit does not return for ever with nothing"
        case .cancelling:
            "a request that is cancelled is completed once, and the answer to cancelling holds"
        case .cancellingNothing: "cancelling what is not in flight harms nothing"
        case .dropping:
            "a driver that is gone neither reads nor writes the memory of its requests"
        case .memory:
            "only the bytes of a request are touched, and only until its completion is reaped"
        case .transfers: "bytes go where the request says, and the result is their number"
        case .visibility: "a write that is completed is seen by reads that are staged afterwards"
        case .endOfFile: "a read ends short at the end of the file, and with 0 from there on"
        case .vectors: "vectored requests fill, or send, one vector after the other"
        case .syncs: "a sync that succeeds has made durable what had completed when it was staged"
        case .flags: "a flag is honoured or answered with EOPNOTSUPP, never left out"
        case .allocating: "an allocate changes size and bytes as its mode says"
        case .errors: "what fails is answered with its errno, negative"
        case .neighbours: "a request that fails harms no other"
        case .hastening: "after hasten and submit, nothing is held back"
        case .clock: "the clock never goes back"
        case .inspecting: "what is said of a descriptor is right"
        case .registration:
            "registered memory and descriptors work as others do, or are said to be unavailable"
        case .mixture: "many requests of all kinds at once give what each alone would give"
        case .loopErrors: "over the driver a loop answers bad input as on every other driver"
        case .loopTransfers: "over the driver a loop moves events of every shape whole"
        case .loopEnds: "a loop that ends settles every event, and each callback runs once"
        }
    }
}
