public import IOEngineCore
public import SystemPackage

/// What the base answers.
extension MergingDriver where Base: ~Copyable {
    /// The base's, under a name of the layer's own.
    public var capabilities: IOCapabilities {
        var capabilities = base.capabilities
        capabilities.name = "merge(\(capabilities.name))"
        let merging =
            "joins up to \(policy.maximumParts) requests of "
            + "\(policy.maximumBytes) bytes together"
        capabilities.setUp =
            capabilities.setUp.isEmpty ? merging : "\(capabilities.setUp); \(merging)"
        return capabilities
    }

    @inlinable public var counters: IODriverCounters { base.counters }
    public var waker: IOWaker { base.waker }
    @inlinable public func now() -> IOInstant { base.now() }
    @inlinable public func coarseNow() -> IOInstant { base.coarseNow() }

    public func inspect(_ descriptor: Int32) throws(Errno) -> IODescriptorFacts {
        try base.inspect(descriptor)
    }

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
