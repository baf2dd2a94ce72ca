public import BasicContainers

/// The buffers of a vectored event and the vectors that describe them to the kernel. Allocated with
/// the event and reused when it is submitted again.
///
/// Unchecked: it belongs to one event, which is not copyable and has one owner at a time.
@safe @usableFromInline
final class IOVectorStorage: @unchecked Sendable {
    @usableFromInline var buffers: UniqueArray<IOBuffer>
    /// One a buffer; written anew each time a request is made.
    private var vectors: UnsafeMutableBufferPointer<IOVector>

    @usableFromInline
    init(_ buffers: consuming UniqueArray<IOBuffer>) {
        unsafe vectors = .allocate(capacity: buffers.count)
        self.buffers = buffers
    }

    @usableFromInline var count: Int { buffers.count }

    deinit { unsafe vectors.deallocate() }

    /// Takes the buffers out, and leaves none.
    @usableFromInline
    func take() -> UniqueArray<IOBuffer> {
        var taken = UniqueArray<IOBuffer>()
        swap(&taken, &buffers)
        return taken
    }

    /// Bytes to move: the capacity of each buffer for a read, its valid bytes for a write. Stops
    /// adding at `Int.max`.
    @usableFromInline
    func length(reading: Bool) -> Int {
        var sum = 0
        for i in 0..<buffers.count {
            let bytes = reading ? buffers[i].capacity : buffers[i].count
            let (next, overflowed) = sum.addingReportingOverflow(bytes)
            if overflowed { return .max }
            sum = next
        }
        return sum
    }

    /// Whether an event that stopped after `done` bytes can go on: the buffers still have `length` bytes
    /// in all, and what was read into them is still valid, so that no gap arises.
    @usableFromInline
    func canContinue(from done: Int, of length: Int, reading: Bool) -> Bool {
        guard self.length(reading: reading) == length else { return false }
        guard reading else { return true }
        var left = done
        for i in 0..<buffers.count where left > 0 {
            let here = min(left, buffers[i].capacity)
            if buffers[i].count < here { return false }
            left -= here
        }
        return true
    }

    /// Describes what is left after `done` bytes: at most `maximumVectors` vectors, and at most
    /// `maximumBytes` bytes, which ends the last vector early.
    @usableFromInline
    func vectors(
        from done: Int, reading: Bool, maximumVectors: Int, maximumBytes: Int
    ) -> (first: UnsafeMutablePointer<IOVector>?, count: Int, bytes: Int) {
        if unsafe vectors.count < buffers.count {
            // The user gave the event more buffers since it was made.
            unsafe vectors.deallocate()
            unsafe vectors = .allocate(capacity: buffers.count)
        }
        var skip = done
        var count = 0
        var bytes = 0
        for i in 0..<buffers.count {
            let length = reading ? buffers[i].capacity : buffers[i].count
            if length <= skip {
                skip -= length
                continue
            }
            if count == maximumVectors || bytes == maximumBytes { break }
            let part = min(length - skip, maximumBytes - bytes)
            unsafe vectors.initializeElement(
                at: count, to: IOVector(base: buffers[i].base + skip, count: part))
            skip = 0
            count += 1
            bytes += part
        }
        return unsafe (vectors.baseAddress, count, bytes)
    }

    /// After a read: the first `transferred` bytes, over all buffers, are valid and no others.
    @usableFromInline
    func setValid(_ transferred: Int) {
        var left = transferred
        for i in 0..<buffers.count {
            let here = min(left, buffers[i].capacity)
            buffers[i].setCount(here)
            left -= here
        }
    }
}
