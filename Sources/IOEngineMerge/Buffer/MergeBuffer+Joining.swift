internal import IOEngineCore

extension MergeBuffer {
    /// Makes one request of the next planned ones that touch. Nil: the next one passes alone.
    mutating func join() -> IORequest? {
        let slot = order[first]
        guard kinds[Int(slot)] == .joinable else { return nil }
        var draft = Draft(requests[Int(slot)])
        append(piecesOf: requests[Int(slot)], from: 0, &draft)
        var last = slot
        var place = first &+ 1
        while place < planned {
            let next = order[place]
            guard kinds[Int(next)] == .joinable, extend(&draft, with: requests[Int(next)]) else {
                break
            }
            links[Int(last)] = next
            last = next
            place &+= 1
        }
        if draft.parts == 1 { return nil }
        return finish(draft, slot)
    }

    /// Adds a request if it touches and the limits allow it.
    @inline(__always)
    private mutating func extend(_ draft: inout Draft, with request: IORequest) -> Bool {
        let distance = request.offset &- draft.end
        let end = max(draft.end, request.end)
        guard draft.first.matches(request), draft.parts < limits.parts,
            end &- draft.first.offset <= Int64(limits.bytes)
        else { return false }
        if distance == 0 {
            guard hasRoom(for: request, 0, draft) else { return false }
        } else if !reach(&draft, request, distance) {
            return false
        }
        append(piecesOf: request, from: max(0, 0 &- Int(distance)), &draft)
        draft.end = end
        draft.parts &+= 1
        draft.longest = max(draft.longest, request.length)
        return true
    }

    /// Whether the list takes a request's pieces, and so many more.
    @inline(__always)
    private func hasRoom(
        for request: IORequest, _ more: Int, _ draft: Draft
    ) -> Bool {
        let pieces = request.isListed ? Int(request.vectorCount) : 1
        return draft.vectors &+ pieces &+ more <= assembly.count
    }

    /// Bridges a gap, or shares what two reads have in common.
    private mutating func reach(
        _ draft: inout Draft, _ request: IORequest, _ distance: Int64
    ) -> Bool {
        guard !draft.first.isWriting else { return false }
        if distance < 0 {
            // To copy from a list into a list is not worth the code.
            guard !draft.isListed, !request.isListed, hasRoom(for: request, 0, draft)
            else { return false }
            draft.overlaps = true
            return true
        }
        guard distance <= Int64(limits.gap), hasRoom(for: request, 1, draft) else { return false }
        if limits.takesVectors {
            guard let piece = unsafe gaps.take() else { return false }
            assembly[draft.vectors] = unsafe IOVector(base: piece, count: Int(distance))
        } else {
            // Copied in any case: only the place in the list counts.
            assembly[draft.vectors] = unsafe IOVector(base: gaps.memory.base, count: Int(distance))
        }
        draft.vectors &+= 1
        draft.gapBytes &+= Int(distance)
        draft.endsWithGap = true
        return true
    }

    /// Adds a request's memory to the list, without its first `skipped` bytes.
    @inline(__always)
    private mutating func append(
        piecesOf request: IORequest, from skipped: Int, _ draft: inout Draft
    ) {
        guard let address = unsafe request.address else { return }
        if request.isListed {
            let list = unsafe address.assumingMemoryBound(to: IOVector.self)
            for i in 0..<Int(request.vectorCount) {
                assembly[draft.vectors] = unsafe list[i]
                draft.vectors &+= 1
            }
            draft.isListed = true
            draft.region = -1
            draft.endsWithGap = false
            return
        }
        // Bytes that an earlier part reads are not read again.
        if skipped >= request.length { return }
        let base = unsafe address + skipped
        let count = request.length &- skipped
        if request.registeredRegion != draft.region { draft.region = -1 }
        if draft.vectors > 0, !draft.endsWithGap,
            unsafe assembly[draft.vectors &- 1].base + assembly[draft.vectors &- 1].count == base
        {
            // Its memory lies behind that of the part before, as in a pool it often does.
            assembly[draft.vectors &- 1].count &+= count
            return
        }
        assembly[draft.vectors] = unsafe IOVector(base: base, count: count)
        draft.vectors &+= 1
        draft.endsWithGap = false
    }

    /// Finds memory for the joined request. Nil: there is none now, so its first part passes alone.
    private mutating func finish(_ draft: Draft, _ slot: UInt32) -> IORequest? {
        var request = draft.first
        request.length = Int(draft.end &- draft.first.offset)
        request.registeredRegion = -1
        var group = JoinedRequest(
            offset: request.offset, length: request.length, parts: UInt32(draft.parts),
            hasGaps: draft.gapBytes > 0 && limits.takesVectors, overlaps: draft.overlaps)
        if draft.vectors == 1, !draft.isListed {
            // All of it is one piece of memory.
            request.action = request.isWriting ? .write : .read
            unsafe request.address = assembly[0].base
            request.registeredRegion = draft.region
        } else if draft.longest <= limits.copiedPart, !draft.isListed,
            request.length <= copies.pieceSize, let piece = unsafe copies.take()
        {
            releaseGaps(of: draft)
            group.hasGaps = false
            group.copy = unsafe CopyPlace(base: piece)
            request.action = request.isWriting ? .write : .read
            unsafe request.address = piece
            groups[Int(slot)] = group
            if request.action == .write { gather(slot, group) }
        } else if limits.takesVectors, let place = vectors.take(draft.vectors) {
            let list = unsafe vectors.vectors + place
            for i in 0..<draft.vectors { unsafe (list + i).initialize(to: assembly[i]) }
            group.firstVector = UInt32(place)
            group.vectorCount = UInt32(draft.vectors)
            request.action = request.isWriting ? .writeVectored : .readVectored
            unsafe request.address = UnsafeMutableRawPointer(list)
            request.vectorCount = group.vectorCount
        } else {
            releaseGaps(of: draft)
            return nil
        }
        groups[Int(slot)] = group
        statistics.gapBytes &+= UInt64(draft.gapBytes)
        offer = .joined(parts: draft.parts)
        return request
    }

    private mutating func releaseGaps(of draft: Draft) {
        guard draft.gapBytes > 0, limits.takesVectors else { return }
        for i in 0..<draft.vectors {
            let base = unsafe assembly[i].base
            if unsafe gaps.contains(base) { unsafe gaps.give(back: base) }
        }
    }

    /// Gives back the memory of a joined request.
    mutating func release(_ group: JoinedRequest) {
        if let copy = group.copy { unsafe copies.give(back: copy.base) }
        if group.vectorCount == 0 { return }
        if group.hasGaps {
            for i in 0..<Int(group.vectorCount) {
                let base = unsafe vectors.vectors[Int(group.firstVector) + i].base
                if unsafe gaps.contains(base) { unsafe gaps.give(back: base) }
            }
        }
        vectors.give(back: Int(group.firstVector), count: Int(group.vectorCount))
    }
}

/// A joined request while it is put together.
struct Draft {
    let first: IORequest
    var end: Int64
    var parts = 1
    /// Pieces of memory so far.
    var vectors = 0
    var gapBytes = 0
    /// Bytes of the longest part.
    var longest: Int
    /// The registered region that all pieces lie in, or -1.
    var region: Int32
    var overlaps = false
    /// A part is a list itself.
    var isListed = false
    var endsWithGap = false

    init(_ first: IORequest) {
        self.first = first
        end = first.end
        longest = first.length
        region = first.registeredRegion
    }
}
