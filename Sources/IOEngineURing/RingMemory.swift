internal import CSystemCalls
internal import Glibc

/// A ring's descriptor and the two pieces of memory that it shares with the kernel: the queues, and
/// the submission queue's entries.
///
/// Set up with the kernel's own interface (`io_uring_setup(2)`) and not with liburing: that
/// library's structures and defaults differ from version to version, and its header cannot be
/// compiled where the kernel's headers are older. The kernel's interface only grows.
///
/// Ownership: made in `init`, given back by `close()`, which is called once; nobody uses the memory
/// then.
@safe
struct RingMemory {
    let descriptor: Int32
    let queues: UnsafeMutableRawPointer
    let entries: UnsafeMutableRawPointer
    private let queueBytes: Int
    private let entryBytes: Int

    /// Asks for a ring and maps it. `parameters` then say what was granted.
    ///
    /// Throws the errno of what was refused; nothing is left behind then.
    init(entries count: UInt32, _ parameters: inout URingParameters) throws(RingError) {
        let descriptor = unsafe linux_io_uring_setup(count, &parameters)
        guard descriptor >= 0 else { throw RingError(errno: -descriptor) }
        // One mapping for both queues (Linux 5.4); what the driver needs besides is newer.
        guard parameters.features & URingConstants.featureSingleMapping != 0 else {
            _ = Glibc.close(descriptor)
            throw RingError(errno: ENOTSUP)
        }
        // Without an index array its offset is 0, and the completions reach further.
        let indexEnd =
            Int(parameters.submission.array)
            + Int(parameters.submissionEntries) * MemoryLayout<UInt32>.stride
        let completionEnd =
            Int(parameters.completion.entries)
            + Int(parameters.completionEntries) * MemoryLayout<URingCompletion>.stride
        queueBytes = max(indexEnd, completionEnd)
        entryBytes = Int(parameters.submissionEntries) * MemoryLayout<URingEntry>.stride
        do throws(RingError) {
            unsafe queues = try Self.map(descriptor, queueBytes, at: URingConstants.queuesOffset)
        } catch {
            _ = Glibc.close(descriptor)
            throw error
        }
        do throws(RingError) {
            unsafe entries = try Self.map(
                descriptor, entryBytes, at: URingConstants.entriesOffset)
        } catch {
            unsafe munmap(queues, queueBytes)
            _ = Glibc.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
        // A forked child must not write into the parent's queues: it has no such mapping. What
        // refuses that leaves the owner's own look at the fork.
        _ = unsafe madvise(queues, queueBytes, MADV_DONTFORK)
        _ = unsafe madvise(entries, entryBytes, MADV_DONTFORK)
    }

    private static func map(
        _ descriptor: Int32, _ bytes: Int, at offset: Int
    ) throws(RingError) -> UnsafeMutableRawPointer {
        let memory = unsafe mmap(
            nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, offset)
        guard let memory = unsafe memory, Int(bitPattern: memory) != -1 else {
            throw RingError(errno: errno)
        }
        return unsafe memory
    }

    /// A counter among the queues.
    func counter(_ offset: UInt32) -> UnsafeMutableRawPointer { unsafe queues + Int(offset) }

    /// Unmaps everything. The kernel cancels what is still in flight, but does not wait for it.
    func close() {
        unsafe munmap(entries, entryBytes)
        unsafe munmap(queues, queueBytes)
        _ = Glibc.close(descriptor)
    }
}

/// A set-up that the kernel refused.
struct RingError: Error {
    /// Positive.
    var errno: Int32
}
