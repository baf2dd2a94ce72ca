internal import Glibc
public import IOEngineCore
public import SystemPackage

/// A layer that makes requests of any driver fail, in the ways that an ``IOFault`` knows.
///
/// ```swift
/// let faults = FaultInjector(seed: 7, [.moves(100, IOFault.reads, .oneIn(10))])
/// let driver = FaultyDriver(try URingDriver(depth: 32), faults: faults)
/// ```
///
/// Without faults it changes nothing. What fails without being done never reaches the base. A short
/// transfer is a shorter request to the base; on a direct file it ends at a whole block.
public struct FaultyDriver<Base: IODriver & ~Copyable>: IODriver, ~Copyable {
    public private(set) var base: Base
    private let faults: FaultInjector
    private var queue: LayerQueue
    /// What the injector knows this driver by.
    private let identity = LayerIdentity()
    /// By slot, what must be known when the base's completion comes.
    private var changes: [Change?]
    /// By slot, what was drawn for a request that the base then had no room for.
    private var drawn: [IOFault.Effect?]
    /// Ended here, without the base; can be reaped after the next submission.
    private var ended: [IOCompletion] = []
    private var stuck: [Stuck] = []
    private var releases = 0

    /// - Parameters:
    ///   - base: Any driver, another layer as well.
    ///   - faults: What goes wrong; keep it to change that later.
    public init(_ base: consuming Base, faults: FaultInjector) {
        let depth = base.capabilities.depth
        self.base = base
        self.faults = faults
        queue = LayerQueue(depth: depth)
        changes = Array(repeating: nil, count: depth)
        drawn = Array(repeating: nil, count: depth)
        releases = faults.releases
    }

    deinit { faults.removeWaker(of: ObjectIdentifier(identity)) }

    public var capabilities: IOCapabilities {
        var capabilities = base.capabilities
        capabilities.setUp = "with faults; " + capabilities.setUp
        return capabilities
    }

    public var counters: IODriverCounters { base.counters }

    public var waker: IOWaker {
        let waker = base.waker
        faults.setWaker(waker, of: ObjectIdentifier(identity))
        return waker
    }

    public func now() -> IOInstant { base.now() }
    public func coarseNow() -> IOInstant { base.coarseNow() }

    // MARK: Staging

    public mutating func stage(_ request: IORequest) -> IOStaging {
        guard queue.hasRoom else { return .full }
        let slot = Int(request.token.slot)
        // A slot beyond the depth breaks the contract; such a request has no faults.
        guard slot < changes.count else { return accept(base.stage(request)) }
        guard let effect = drawn[slot] ?? faults.effect(for: request) else {
            return accept(base.stage(request))
        }
        drawn[slot] = nil
        return stage(request, slot, effect)
    }

    private mutating func stage(
        _ request: IORequest, _ slot: Int, _ effect: IOFault.Effect
    ) -> IOStaging {
        switch effect {
        case .fails(let errno): return end(request, -Int(errno.rawValue))
        case .pretends: return end(request, request.action.isTransfer ? request.length : 0)
        case .isStuck(let canBeCancelled):
            stuck.append(Stuck(request: request, canBeCancelled: canBeCancelled))
            queue.accept()
            return .queued
        case .neverDurable: return accept(base.stage(request))
        case .moves(let bytes):
            if bytes <= 0 { return end(request, 0) }
            let (shorter, vectors) = shorten(request, to: bytes)
            return pass(shorter, slot, Change(request: request, effect: effect, vectors: vectors))
        case .misdirects(let shift):
            var moved = request
            moved.offset = max(0, request.offset.addingReportingOverflow(shift).partialValue)
            return pass(moved, slot, Change(request: request, effect: effect))
        case .failsThoughDone, .isLate, .flips:
            return pass(request, slot, Change(request: request, effect: effect))
        }
    }

    private mutating func end(_ request: IORequest, _ result: Int) -> IOStaging {
        ended.append(IOCompletion(token: request.token, result: result))
        queue.accept()
        return .queued
    }

    private mutating func accept(_ staging: IOStaging) -> IOStaging {
        if staging == .queued { queue.accept() }
        return staging
    }

    /// To the base, with a note on what to do when it is completed.
    private mutating func pass(_ request: IORequest, _ slot: Int, _ change: Change) -> IOStaging {
        guard base.stage(request) == .queued else {
            drawn[slot] = change.effect
            return .full
        }
        changes[slot] = change
        queue.accept()
        return .queued
    }

    private func shorten(
        _ request: IORequest, to bytes: Int
    ) -> (IORequest, ShortenedVectors?) {
        var length = min(bytes, request.length)
        if let facts = try? base.inspect(request.descriptor), facts.isDirect {
            let block = facts.offsetAlignment > 0 ? facts.offsetAlignment : 4096
            length = min(request.length, (length + block - 1) / block * block)
        }
        var shorter = request
        shorter.length = length
        guard request.action.isVectored, length < request.length else { return (shorter, nil) }
        let vectors = ShortenedVectors(request, to: length)
        unsafe shorter.address = vectors.address
        shorter.vectorCount = vectors.count
        return (shorter, vectors)
    }

    // MARK: Waiting

    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        for completion in ended { queue.finish(completion) }
        ended.removeAll(keepingCapacity: true)
        releaseStuck()
        let faults = self.faults
        var changes = self.changes
        // Taken out meanwhile, so that the closure does not change `self` while the queue does.
        self.changes = []
        defer { self.changes = changes }
        return queue.wait(
            over: &base, minimum: minimum, deadline: deadline, kept: stuck.count
        ) { queue, completion, now in
            let slot = Int(completion.token.slot)
            guard slot < changes.count, let change = changes[slot],
                change.request.token == completion.token
            else { return queue.finish(completion) }
            changes[slot] = nil
            var changed = completion
            switch change.effect {
            case .failsThoughDone(let errno): changed.result = -Int(errno.rawValue)
            case .flips(let bits) where completion.result > 0:
                faults.flip(bits: bits, ofFirst: completion.result, of: change.request)
            case .isLate(let nanoseconds):
                return queue.hold(
                    changed, until: now.advanced(by: .nanoseconds(nanoseconds)).nanoseconds)
            default: break
            }
            queue.finish(changed)
        }
    }

    /// Hands to the base what was stuck and is let go, as far as the base has room.
    private mutating func releaseStuck() {
        let asked = faults.releases
        if asked != releases {
            releases = asked
            for i in stuck.indices { stuck[i].isReleased = true }
        }
        stuck = handDown(stuck)
    }

    /// Stages what is let go. Returns the rest.
    private mutating func handDown(_ stuck: [Stuck]) -> [Stuck] {
        var left: [Stuck] = []
        for item in stuck {
            if item.isReleased {
                let staging = base.stage(item.request)
                if staging == .queued { continue }
            }
            left.append(item)
        }
        return left
    }

    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        queue.reap(into: &completions)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        if let index = stuck.firstIndex(where: { $0.request.token == token }) {
            guard stuck[index].canBeCancelled else { return .tooLate }
            stuck.remove(at: index)
            ended.append(IOCompletion(token: token, result: -Int(ECANCELED)))
            return .cancelled
        }
        if ended.contains(where: { $0.token == token }) || queue.isDone(token) { return .tooLate }
        return base.cancel(token)
    }

    public mutating func hasten() { base.hasten() }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        try base.inspect(descriptor)
    }

    // MARK: Registering

    @unsafe
    public mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration {
        unsafe base.register(regions: regions)
    }

    public mutating func register(descriptor: Int32) -> IORegistration {
        base.register(descriptor: descriptor)
    }

    public mutating func unregister(descriptorIndex: Int32) {
        base.unregister(descriptorIndex: descriptorIndex)
    }
}

/// A request that does not end by itself.
struct Stuck {
    var request: IORequest
    var canBeCancelled: Bool
    var isReleased = false
}

/// What is to be done when a request that went to the base is completed.
struct Change {
    var request: IORequest
    var effect: IOFault.Effect
    /// The vectors of a shortened request.
    var vectors: ShortenedVectors?
}

/// The first vectors of a request, the last one cut.
///
/// Ownership: allocated here, freed with the last reference, which the layer drops when the base's
/// completion has come. The memory that the vectors point at is the loop's. Unchecked: written only in
/// `init`.
@safe
final class ShortenedVectors: @unchecked Sendable {
    private let vectors: UnsafeMutablePointer<IOVector>
    private(set) var count: UInt32 = 0

    init(_ request: IORequest, to length: Int) {
        unsafe vectors = .allocate(capacity: max(1, Int(request.vectorCount)))
        var memory = RequestMemory(request)
        var made = 0
        unsafe memory.forNext(length) { base, _, count in
            unsafe (vectors + made).initialize(to: IOVector(base: base, count: count))
            made += 1
        }
        count = UInt32(made)
    }

    deinit { unsafe vectors.deallocate() }

    var address: UnsafeMutableRawPointer { unsafe UnsafeMutableRawPointer(vectors) }
}

/// Tells one driver from another.
private final class LayerIdentity: Sendable {}
