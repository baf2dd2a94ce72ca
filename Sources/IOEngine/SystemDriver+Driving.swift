public import IOEngineCore
internal import SystemPackage

// What every call does: look which one is there, and hand on. In the order of likelihood.
extension SystemDriver {
    public var counters: IODriverCounters { parts.counters }

    public func coarseNow() -> IOInstant { .coarseMonotonic() }

    @inlinable @inline(__always)
    public mutating func stage(_ request: IORequest) -> IOStaging {
        if let answer = parts.uring?.stage(request) { return answer }
        if let answer = parts.aio?.stage(request) { return answer }
        return parts.threads?.stage(request) ?? .full
    }

    @inlinable @inline(__always)
    public mutating func submit(minimum: Int, deadline: IOInstant?) -> IOWaitOutcome {
        if let answer = parts.uring?.submit(minimum: minimum, deadline: deadline) { return answer }
        if let answer = parts.aio?.submit(minimum: minimum, deadline: deadline) { return answer }
        return parts.threads?.submit(minimum: minimum, deadline: deadline) ?? .ready
    }

    @inlinable @inline(__always)
    public mutating func reap(into completions: inout OutputSpan<IOCompletion>) {
        if parts.uring?.reap(into: &completions) != nil { return }
        if parts.aio?.reap(into: &completions) != nil { return }
        parts.threads?.reap(into: &completions)
    }

    @discardableResult
    public mutating func cancel(_ token: IOToken) -> IOCancellation {
        if let answer = parts.uring?.cancel(token) { return answer }
        if let answer = parts.aio?.cancel(token) { return answer }
        return parts.threads?.cancel(token) ?? .unknown
    }

    @unsafe
    public mutating func register(regions: [UnsafeMutableRawBufferPointer]) -> IORegistration {
        if let answer = unsafe parts.uring?.register(regions: regions) { return answer }
        if let answer = unsafe parts.aio?.register(regions: regions) { return answer }
        return unsafe parts.threads?.register(regions: regions)
            ?? .unavailable(errno: Errno.notSupported.rawValue)
    }

    public mutating func register(descriptor: Int32) -> IORegistration {
        if let answer = parts.uring?.register(descriptor: descriptor) { return answer }
        if let answer = parts.aio?.register(descriptor: descriptor) { return answer }
        return parts.threads?.register(descriptor: descriptor)
            ?? .unavailable(errno: Errno.notSupported.rawValue)
    }

    public mutating func unregister(descriptorIndex: Int32) {
        if parts.uring?.unregister(descriptorIndex: descriptorIndex) != nil { return }
        if parts.aio?.unregister(descriptorIndex: descriptorIndex) != nil { return }
        parts.threads?.unregister(descriptorIndex: descriptorIndex)
    }
}
