internal import CLibAIO
internal import CLinux
internal import Glibc
internal import Synchronization

/// The kernel's context, its system calls, and the ring of completions that it maps into the process.
///
/// All calls answer as libaio does: a number, or a negative errno. One thread uses it. It lives until
/// `ContextGrave` gets its `handle`.
@safe
struct AIOContext: ~Copyable {
    let handle: OpaquePointer
    /// Requests that it has room for, beside the entry that listens for wake-ups.
    let size: Int
    /// The ring's header, which lies at the handle's address (`struct aio_ring` in fs/aio.c): id,
    /// number of places, head, tail, magic, compatible and incompatible features, header length. Nil:
    /// this kernel's ring is not the known one.
    private let ring: UnsafeMutablePointer<UInt32>?
    private let events: UnsafePointer<io_event>
    /// Places in the ring; 0 without it.
    private let places: UInt32
    var systemCalls: UInt64 = 0

    private static let magic: UInt32 = 0xa10a_10a1
    private static let headerBytes = 32

    /// Makes a context, or throws the errno.
    init(size: Int, readsRing: Bool) throws(AIORefusal) {
        var made: OpaquePointer?
        let answer = unsafe io_setup(Int32(clamping: size + 1), &made)
        guard answer == 0, let handle = unsafe made else { throw AIORefusal(errno: -answer) }
        unsafe self.handle = unsafe handle
        self.size = size
        let header = unsafe UnsafeMutableRawPointer(handle).assumingMemoryBound(to: UInt32.self)
        let isKnown =
            unsafe readsRing && header[4] == Self.magic && header[6] == 0
            && header[7] == UInt32(Self.headerBytes)
        unsafe ring = isKnown ? header : nil
        places = isKnown ? unsafe header[1] : 0
        unsafe events = (UnsafeRawPointer(header) + Self.headerBytes)
            .assumingMemoryBound(to: io_event.self)
    }

    // MARK: System calls

    /// Hands entries over. The kernel copies them.
    ///
    /// - Returns: How many it took, which may be fewer, or what is wrong with the first.
    mutating func submit(
        _ entries: UnsafeMutablePointer<UnsafeMutablePointer<iocb>?>, count: Int
    ) -> Int32 {
        systemCalls &+= 1
        // Past libaio, whose function only wraps the one of the C library: 1 to 2 % at depth 1.
        let answer = unsafe linux_call(
            Int(SYS_io_submit), Int(bitPattern: handle), count, Int(bitPattern: entries))
        return answer >= 0 ? Int32(truncatingIfNeeded: answer) : -errno
    }

    /// Waits for `minimum` events and moves up to `most` out.
    ///
    /// - Parameter timeout: Nanoseconds; nil: none.
    mutating func wait(
        minimum: Int, most: Int, into events: UnsafeMutablePointer<io_event>, timeout: Int64?
    ) -> Int32 {
        systemCalls &+= 1
        guard let timeout else {
            return unsafe io_getevents(handle, minimum, most, events, nil)
        }
        var time = timespec(
            tv_sec: Int(timeout / 1_000_000_000), tv_nsec: Int(timeout % 1_000_000_000))
        return unsafe io_getevents(handle, minimum, most, events, &time)
    }

    // MARK: The ring

    /// Whether completions can be taken without a system call.
    var hasRing: Bool { unsafe ring != nil }

    @inline(__always)
    private func counter(_ place: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        unsafe UnsafeMutableRawPointer(ring.unsafelyUnwrapped + place)
            .assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// The place of the first event. Only this thread moves it: here, or through the kernel in `wait`.
    @inline(__always)
    var head: UInt32 { unsafe counter(2).pointee.load(ordering: .relaxed) }

    /// The place behind the last event. Acquire: pairs with the kernel's barrier between writing events
    /// and moving the tail.
    @inline(__always)
    var tail: UInt32 { unsafe counter(3).pointee.load(ordering: .acquiring) }

    /// Events in the ring.
    @inline(__always)
    var ready: Int {
        if unsafe ring == nil { return 0 }
        let (head, tail) = (self.head, self.tail)
        return Int(tail >= head ? tail &- head : tail &+ places &- head)
    }

    /// The event at a place between head and tail.
    @inline(__always)
    func event(_ place: UInt32) -> UnsafePointer<io_event> { unsafe events + Int(place) }

    @inline(__always)
    func place(after place: UInt32) -> UInt32 {
        let next = place &+ 1
        return next >= places ? 0 : next
    }

    /// Gives the places before `head` back. Release: their events have been read.
    @inline(__always)
    func moveHead(to head: UInt32) { unsafe counter(2).pointee.store(head, ordering: .releasing) }
}

/// A set-up that the kernel refused.
struct AIORefusal: Error {
    /// Positive.
    var errno: Int32
}
