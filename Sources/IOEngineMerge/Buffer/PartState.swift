internal import IOEngineCore

/// Where a request is that came in.
@frozen @usableFromInline
enum PartState: UInt8 {
    /// Nothing is known of the slot.
    case absent
    /// Not handed down.
    case staged
    /// Handed down unchanged; stays so after its completion, which passes without a look.
    case lone
    /// Handed down as part of a joined one.
    case joined
    /// Its joined request did not decide what becomes of it: to be handed down again.
    case repeated
    /// Answered by the layer; the answer was not taken out yet.
    case finished
}

/// What a request allows.
enum RequestKind: UInt8 {
    /// May be joined with its neighbours.
    case joinable
    /// Passes alone; others may pass it if they do not overlap.
    case solo
    /// Passes alone, and nothing passes it.
    case barrier

    @inline(__always)
    init(_ request: IORequest, _ limits: Limits) {
        guard request.action.rawValue <= IOAction.writeVectored.rawValue else {
            self = request.action == .noOperation ? .solo : .barrier
            return
        }
        let apart: IOFlags = [.append, .atomic]
        guard request.offset >= 0, request.length >= 0,
            request.offset <= .max - Int64(request.length),
            request.flags.isDisjoint(with: apart),
            !(request.isWriting && request.traits.contains(.appending))
        else {
            self = .barrier
            return
        }
        let isPlain =
            request.length > 0 && request.length <= limits.bytes && !request.mayBlock
            && !request.flags.contains(.noWait)
        let fits = !request.isListed || request.vectorCount < limits.vectors
        self = isPlain && fits && Self.isAligned(request) ? .joinable : .solo
    }

    /// Whether direct IO takes the request by itself. What it refuses must not succeed because its
    /// neighbours make it fit.
    @inline(__always)
    private static func isAligned(_ request: IORequest) -> Bool {
        if request.traits.rawValue & 3 == IODescriptorTraits.known.rawValue { return true }
        // Where nothing is known, 4096 suits every common device.
        let logarithm = request.alignmentLogarithm
        let mask = logarithm > 0 ? (1 << Int(logarithm & 63)) &- 1 : 4095
        let address = request.isListed ? 0 : Int(bitPattern: unsafe request.address)
        return (Int(request.offset) | request.length | address) & mask == 0
    }
}

/// One request made of several: kept by the slot of its first part.
struct JoinedRequest {
    /// Bytes from the start of the file.
    var offset: Int64 = 0
    var length = 0
    /// 0: the slot is not the first part of anything.
    var parts: UInt32 = 0
    /// Where its vectors are; the count is 0 if it has none.
    var firstVector: UInt32 = 0
    var vectorCount: UInt32 = 0
    var hasGaps = false
    /// Parts share bytes.
    var overlaps = false
    /// Copied together, here.
    var copy: CopyPlace?
}

/// The address of a piece that a joined request is copied in.
@safe
struct CopyPlace {
    // Lent by the buffer's pieces until the joined request has ended.
    var base: UnsafeMutableRawPointer
}

/// What is known of the requests behind the planned ones.
struct Arrivals {
    /// Two of them may touch.
    var mayTouch = false
    /// All may be joined, are of one kind, and come in the order of the file without overlaps.
    var isInOrder = true
    var hasBarrier = false
    /// Whether those that do not come in the order of the file are tested for neighbours.
    var looksForNeighbours = true
    /// While they are in order, the slot of the last one; the depth or more: there is none.
    var last = UInt32.max
    /// Where that one ends.
    var lastEnd: Int64 = 0
    /// Where something is held back: how far the last ones continued each other.
    var runBytes = 0
    var runParts = 0
    var runEnd: Int64 = 0
}

/// What `next` returned.
enum Offer {
    case nothing
    case repeated
    case lone
    case joined(parts: Int)
}

extension IORequest {
    /// Of a transfer: whether it writes. As the actions are numbered, one bit; asking the action itself
    /// costs a call.
    @inline(__always)
    var isWriting: Bool { action.rawValue & 1 != 0 }

    @inline(__always)
    var isListed: Bool { action.rawValue & 2 != 0 }

    /// Whether it is a write that is durable when it has finished.
    var isDurable: Bool {
        action.isWrite && (flags.makeDurable || traits.contains(.synchronous))
    }

    /// Behind its last byte.
    @inline(__always)
    var end: Int64 { offset &+ Int64(length) }

    /// Whether two transfers could be parts of one.
    @inline(__always)
    func matches(_ other: IORequest) -> Bool {
        descriptor == other.descriptor && isWriting == other.isWriting
            && flags == other.flags && priority == other.priority
            && registeredDescriptor == other.registeredDescriptor
    }

    /// Whether the order of the two matters to what ends up where.
    func conflicts(with other: IORequest) -> Bool {
        descriptor == other.descriptor && (action.isWrite || other.action.isWrite)
            && offset < other.end && other.offset < end
    }
}
