public import IOEngineCore

/// What passed between the user of a driver and the driver: each call, in order, with its answer.
///
/// Made by a ``RecordingDriver``, played by a ``ReplayingDriver``. As text it has one line a call, so it
/// can be kept in a file and read by people.
public struct IOTrace: Equatable, Sendable {
    /// The driver's own words.
    public var driver: String
    public var depth: Int
    public var maximumVectors: Int
    /// Bit by ``IOAction`` raw value.
    public var actions: UInt16
    public var calls: [Call]

    public enum Call: Equatable, Sendable {
        case stage(Request, IOStaging)
        /// With the time at its end, in nanoseconds on the driver's clock.
        case submit(minimum: Int, deadline: Int64?, IOWaitOutcome, nanoseconds: Int64)
        /// The completions that one call handed out.
        case reap([Completion])
        case cancel(IOToken, IOCancellation)
        case hasten
        case inspect(Int32, Facts)
    }

    /// A request without addresses.
    public struct Request: Hashable, Sendable {
        public var token: IOToken
        public var action: IOAction
        public var descriptor: Int32
        public var offset: Int64
        public var length: Int
        public var vectorCount: UInt32
        public var flags: IOFlags
        public var allocationMode: IOAllocationMode

        init(_ request: IORequest) {
            token = request.token
            action = request.action
            descriptor = request.descriptor
            offset = request.offset
            length = request.length
            vectorCount = request.vectorCount
            flags = request.flags
            allocationMode = request.allocationMode
        }

        init(
            token: IOToken, action: IOAction, descriptor: Int32, offset: Int64, length: Int,
            vectorCount: UInt32, flags: IOFlags, allocationMode: IOAllocationMode
        ) {
            self.token = token
            self.action = action
            self.descriptor = descriptor
            self.offset = offset
            self.length = length
            self.vectorCount = vectorCount
            self.flags = flags
            self.allocationMode = allocationMode
        }

        /// Whether the same is asked for. Numbers of descriptors may differ between two runs.
        func asksForTheSame(as other: Request) -> Bool {
            var other = other
            other.descriptor = descriptor
            return self == other
        }
    }

    public struct Completion: Hashable, Sendable {
        public var token: IOToken
        /// Bytes, or a negative errno.
        public var result: Int
        /// What a read got; empty if it was not recorded.
        public var bytes: [UInt8]
    }

    /// What is known of a descriptor, or the errno.
    public enum Facts: Hashable, Sendable {
        case known(IODescriptorFacts)
        case failed(errno: Int32)
    }
}
