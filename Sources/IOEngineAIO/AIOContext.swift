internal import CLibAIO
public import CSystemCalls
internal import Glibc
public import Synchronization

/// The kernel's context, its system calls, and the ring of completions that it maps into the process.
///
/// All calls answer as libaio does: a number, or a negative errno. One thread uses it. It lives until
/// `ContextGrave` gets its `handle`.
@safe @frozen @usableFromInline
struct AIOContext: ~Copyable {
    @usableFromInline let handle: OpaquePointer
    /// Requests that it has room for, beside the entry that listens for wake-ups.
    @usableFromInline let size: Int
    /// The ring's header, which lies at the handle's address (`struct aio_ring` in fs/aio.c): id,
    /// number of places, head, tail, magic, compatible and incompatible features, header length. Nil:
    /// this kernel's ring is not the known one.
    @usableFromInline let ring: UnsafeMutablePointer<UInt32>?
    @usableFromInline let events: UnsafePointer<AIOEvent>
    /// Places in the ring; 0 without it.
    @usableFromInline let places: UInt32
    @usableFromInline var systemCalls: UInt64 = 0

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
            .assumingMemoryBound(to: AIOEvent.self)
    }

    // MARK: System calls

    /// Hands entries over. The kernel copies them.
    ///
    /// - Returns: How many it took, which may be fewer, or what is wrong with the first.
    @inlinable @inline(__always)
    mutating func submit(
        _ entries: UnsafeMutablePointer<UnsafeMutablePointer<AIOEntry>?>, count: Int
    ) -> Int {
        systemCalls &+= 1
        return unsafe linux_io_submit(UInt(bitPattern: handle), count, entries)
    }

    /// Waits for `minimum` events and moves up to `most` out.
    ///
    /// - Parameter timeout: Nanoseconds; nil: none.
    mutating func wait(
        minimum: Int, most: Int, into events: UnsafeMutablePointer<AIOEvent>, timeout: Int64?
    ) -> Int32 {
        systemCalls &+= 1
        let events = unsafe UnsafeMutableRawPointer(events).assumingMemoryBound(to: io_event.self)
        guard let timeout else {
            return unsafe io_getevents(handle, minimum, most, events, nil)
        }
        var time = timespec(
            tv_sec: Int(timeout / 1_000_000_000), tv_nsec: Int(timeout % 1_000_000_000))
        return unsafe io_getevents(handle, minimum, most, events, &time)
    }

    // MARK: The ring

    /// Whether completions can be taken without a system call.
    @inlinable var hasRing: Bool { unsafe ring != nil }

    @inlinable @inline(__always)
    func counter(_ place: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
        unsafe UnsafeMutableRawPointer(ring.unsafelyUnwrapped + place)
            .assumingMemoryBound(to: Atomic<UInt32>.self)
    }

    /// The place of the first event. Only this thread moves it: here, or through the kernel in `wait`.
    @inlinable @inline(__always)
    var head: UInt32 { unsafe counter(2).pointee.load(ordering: .relaxed) }

    /// The place behind the last event. Acquire: pairs with the kernel's barrier between writing events
    /// and moving the tail.
    @inlinable @inline(__always)
    var tail: UInt32 { unsafe counter(3).pointee.load(ordering: .acquiring) }

    /// Events in the ring.
    @inlinable @inline(__always)
    var ready: Int {
        if unsafe ring == nil { return 0 }
        let (head, tail) = (self.head, self.tail)
        return Int(tail >= head ? tail &- head : tail &+ places &- head)
    }

    /// The event at a place between head and tail.
    @inlinable @inline(__always)
    func event(_ place: UInt32) -> UnsafePointer<AIOEvent> { unsafe events + Int(place) }

    @inlinable @inline(__always)
    func place(after place: UInt32) -> UInt32 {
        let next = place &+ 1
        return next >= places ? 0 : next
    }

    /// Gives the places before `head` back. Release: their events have been read.
    @inlinable @inline(__always)
    func moveHead(to head: UInt32) { unsafe counter(2).pointee.store(head, ordering: .releasing) }
}

/// A set-up that the kernel refused.
struct AIORefusal: Error {
    /// Positive.
    var errno: Int32
}
