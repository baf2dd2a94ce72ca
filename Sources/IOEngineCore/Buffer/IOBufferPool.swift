internal import CLinux
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A fixed number of buffers of one size, allocated once.
///
/// Taking and returning a buffer allocates nothing, takes no lock and may happen on any thread. A
/// buffer returns by ending: there is no `put`. The memory lives until the pool and its last buffer
/// are gone.
///
/// Registered with a loop (``IOLoop/register(_:)-(IOBufferPool)``), its buffers stay mapped into the
/// kernel, which spares io_uring the pinning of pages for each IO.
public final class IOBufferPool: Sendable {
    /// How many buffers there are, taken or not.
    public let count: Int
    /// Bytes of each buffer.
    public let bufferCapacity: Int
    @usableFromInline let storage: IOBufferPoolStorage

    /// Allocates all buffers.
    ///
    /// - Parameters:
    ///   - count: Buffers; at least 1.
    ///   - bufferCapacity: Bytes of each; at least 1.
    ///   - alignment: Bytes; a power of two. Each buffer starts at a multiple of it.
    ///   - hugePages: Rounds the memory up to whole huge pages of 2 MiB, where the system has them for
    ///     who asks (`/sys/kernel/mm/transparent_hugepage/enabled`). Registered memory is then few
    ///     pieces to the kernel, and an IO on it cheaper. Without: only pools of 2 MiB and more.
    ///
    /// Throws ENOMEM when the memory is not to be had, EINVAL for arguments out of range.
    public init(
        count: Int, bufferCapacity: Int, alignment: Int = 4096, hugePages: Bool = false
    ) throws(IOError) {
        self.count = count
        self.bufferCapacity = bufferCapacity
        storage = try IOBufferPoolStorage(
            count: count, capacity: bufferCapacity, alignment: alignment, hugePages: hugePages)
    }

    /// A free buffer with no valid bytes, or nil when all are taken. Wait-free but for contention.
    public func take() -> IOBuffer? { storage.take() }
}

/// The pool's memory and its free list. Every buffer that is out holds a reference to it.
///
/// Unchecked: `next` is a table of atomics, everything else is immutable; a slice of the memory
/// belongs to the one buffer that was popped from the free list.
@safe @usableFromInline
final class IOBufferPoolStorage: IOBufferOwner, @unchecked Sendable {
    /// A region of memory as the kernel registers it: at most 1 GiB.
    static let regionLimit = 1 << 30
    static let hugePage = 2 << 20

    let memory: UnsafeMutableRawBufferPointer
    /// Where the first buffer starts.
    let first: UnsafeMutableRawPointer
    let capacity: Int
    let stride: Int
    let count: Int
    /// Buffers that lie in one region; a buffer never straddles two.
    let buffersPerRegion: Int
    /// The free list, a stack: index of the first free buffer + 1 in the low half (0: none), and a
    /// count of changes in the high half, so that a head that was popped and pushed again in
    /// between is not mistaken for the same list.
    private let head: Atomic<UInt64>
    private let next: UnsafeMutablePointer<Atomic<UInt32>>

    init(count: Int, capacity: Int, alignment: Int, hugePages: Bool) throws(IOError) {
        guard count > 0, count < UInt32.max, capacity > 0, alignment > 0,
            alignment & (alignment - 1) == 0
        else {
            throw IOError(
                operation: .setUp, errno: .invalidArgument,
                advice: "a pool needs at least one buffer of at least one byte, "
                    + "and an alignment that is a power of two")
        }
        let (rounded, overflowed) = capacity.addingReportingOverflow(alignment - 1)
        let stride = rounded & ~(alignment - 1)
        let (total, overflowedToo) = stride.multipliedReportingOverflow(by: count)
        // Huge pages must be whole, and the memory starts at the start of one.
        let isHuge = hugePages || total >= Self.hugePage
        let (filled, overflowedFilling) = total.addingReportingOverflow(
            isHuge ? Self.hugePage - 1 : 0)
        let needed = isHuge ? filled & ~(Self.hugePage - 1) : total
        // Mapped memory starts at a page; a larger alignment needs slack in front.
        let firstAlignment = max(alignment, isHuge ? Self.hugePage : 4096)
        let (mapped, overflowedLast) = needed.addingReportingOverflow(firstAlignment - 4096)
        guard !overflowed, !overflowedToo, !overflowedFilling, !overflowedLast else {
            throw Self.noMemory(of: Int.max)
        }
        let start = unsafe mmap(
            nil, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let start = unsafe start, unsafe start != MAP_FAILED else {
            throw Self.noMemory(of: mapped)
        }
        // Huge pages make pinning cheaper for the kernel; without them nothing is lost.
        if isHuge { unsafe madvise(start, mapped, CLinux.MADV_HUGEPAGE) }
        let misalignment = UInt(bitPattern: start) & UInt(firstAlignment - 1)
        unsafe first = start + (misalignment == 0 ? 0 : firstAlignment - Int(misalignment))
        unsafe memory = UnsafeMutableRawBufferPointer(start: start, count: mapped)
        self.capacity = capacity
        self.stride = stride
        self.count = count
        buffersPerRegion = max(1, Self.regionLimit / stride)
        unsafe next = .allocate(capacity: count)
        for i in 0..<count {
            unsafe (next + i).initialize(to: Atomic(i + 1 == count ? 0 : UInt32(i + 2)))
        }
        head = Atomic(1)
        super.init()
    }

    deinit {
        unsafe next.deinitialize(count: count)
        unsafe next.deallocate()
        unsafe munmap(memory.baseAddress, memory.count)
    }

    private static func noMemory(of bytes: Int) -> IOError {
        IOError(
            operation: .setUp, length: bytes, errno: .noMemory,
            advice: "a pool of that many bytes does not fit into memory; make it smaller")
    }

    func take() -> IOBuffer? {
        // Acquire: pairs with the release in `reclaim`, so the former owner's writes are done.
        var seen = head.load(ordering: .acquiring)
        while true {
            let index = UInt32(truncatingIfNeeded: seen)
            if index == 0 { return nil }
            let following = unsafe next[Int(index) - 1].load(ordering: .relaxed)
            let desired = ((seen >> 32) &+ 1) << 32 | UInt64(following)
            let (exchanged, original) = head.weakCompareExchange(
                expected: seen, desired: desired, ordering: .acquiring)
            if exchanged {
                return unsafe IOBuffer(
                    base: first + (Int(index) - 1) * stride, capacity: capacity, count: 0,
                    owner: self)
            }
            seen = original
        }
    }

    override func reclaim(_ memory: UnsafeMutableRawBufferPointer) {
        let index = unsafe UInt32((memory.baseAddress.unsafelyUnwrapped - first) / stride) + 1
        var seen = head.load(ordering: .relaxed)
        while true {
            unsafe next[Int(index) - 1].store(UInt32(truncatingIfNeeded: seen), ordering: .relaxed)
            let desired = ((seen >> 32) &+ 1) << 32 | UInt64(index)
            let (exchanged, original) = head.weakCompareExchange(
                expected: seen, desired: desired, ordering: .releasing)
            if exchanged { return }
            seen = original
        }
    }

    /// The memory as the kernel registers it, at most 1 GiB a region.
    var regions: [UnsafeMutableRawBufferPointer] {
        var regions = unsafe [UnsafeMutableRawBufferPointer]()
        var from = 0
        while from < count {
            let buffers = min(buffersPerRegion, count - from)
            unsafe regions.append(
                UnsafeMutableRawBufferPointer(start: first + from * stride, count: buffers * stride)
            )
            from += buffers
        }
        return unsafe regions
    }

    /// The region that a buffer of this pool lies in.
    @usableFromInline
    func region(of base: UnsafeMutableRawPointer) -> Int32 {
        let index = unsafe (base - first) / stride
        return Int32(truncatingIfNeeded: index / buffersPerRegion)
    }
}
