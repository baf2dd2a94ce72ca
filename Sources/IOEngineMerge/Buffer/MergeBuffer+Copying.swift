internal import Glibc
internal import IOEngineCore

extension MergeBuffer {
    static var cancelledErrno: Int { Int(ECANCELED) }
    static var againErrno: Int { Int(EAGAIN) }

    /// Copies the parts of a joined write together.
    mutating func gather(_ slot: UInt32, _ group: JoinedRequest) {
        guard let copy = group.copy else { return }
        var part = slot
        for _ in 0..<group.parts {
            let request = requests[Int(part)]
            let place = Int(request.offset &- group.offset)
            // The piece is as long as the joined request, and the part's memory as the part.
            if let address = unsafe request.address {
                unsafe (copy.base + place).copyMemory(
                    from: address, byteCount: request.length)
            }
            statistics.bytesCopied &+= UInt64(request.length)
            part = links[Int(part)]
        }
    }

    /// Gives the parts of a joined read what was not read straight into their memory.
    mutating func hand(out group: JoinedRequest, _ slot: UInt32, _ moved: Int) {
        if let copy = group.copy {
            scatter(slot, group, copy, moved)
        } else if group.overlaps {
            fillShared(slot, group, moved)
        }
    }

    private mutating func scatter(
        _ slot: UInt32, _ group: JoinedRequest, _ copy: CopyPlace, _ moved: Int
    ) {
        var part = slot
        for _ in 0..<group.parts {
            let request = requests[Int(part)]
            let place = Int(request.offset &- group.offset)
            let count = min(request.length, moved &- place)
            if count > 0, let address = unsafe request.address {
                unsafe address.copyMemory(from: copy.base + place, byteCount: count)
                statistics.bytesCopied &+= UInt64(count)
            }
            part = links[Int(part)]
        }
    }

    /// Bytes that several parts asked for lie with the first that did: the others get copies.
    ///
    /// Goes through the parts twice at once: `part` is the one to fill, `source` the one that has the
    /// bytes where it begins. As the parts come in the order of the file, both only move on.
    private mutating func fillShared(_ slot: UInt32, _ group: JoinedRequest, _ moved: Int) {
        let movedEnd = group.offset &+ Int64(moved)
        var end = group.offset
        var part = slot
        var source = Source(slot, end: requests[Int(slot)].end)
        for _ in 0..<group.parts {
            let request = requests[Int(part)]
            let sharedEnd = min(min(end, request.end), movedEnd)
            if request.offset < sharedEnd {
                while source.end <= request.offset { advance(&source) }
                copyShared(request, upTo: sharedEnd, from: source)
            }
            end = max(end, request.end)
            part = links[Int(part)]
        }
    }

    private mutating func copyShared(
        _ request: IORequest, upTo end: Int64, from first: Source
    ) {
        var source = first
        var position = request.offset
        while position < end {
            let from = requests[Int(source.slot)]
            let count = Int(min(source.end, end) &- position)
            // Both ranges lie inside their requests; the memory of two events is never the same.
            if let to = unsafe request.address, let base = unsafe from.address {
                unsafe (to + Int(position &- request.offset)).copyMemory(
                    from: base + Int(position &- from.offset), byteCount: count)
            }
            statistics.bytesCopied &+= UInt64(count)
            position &+= Int64(count)
            if position < end { advance(&source) }
        }
    }

    /// The next part that read bytes of its own.
    private func advance(_ source: inout Source) {
        let end = source.end
        repeat { source.slot = links[Int(source.slot)] } while requests[Int(source.slot)].end <= end
        source.end = requests[Int(source.slot)].end
    }
}

/// A part that read bytes of its own, up to `end`.
private struct Source {
    var slot: UInt32
    var end: Int64

    init(_ slot: UInt32, end: Int64) {
        self.slot = slot
        self.end = end
    }
}
