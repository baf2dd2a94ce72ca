internal import CLinux
internal import Glibc

/// A point on a driver's clock, in nanoseconds since an arbitrary start.
@frozen
public struct IOInstant: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    @inlinable
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    @inlinable
    public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }

    /// Now, on CLOCK_MONOTONIC. No system call (vDSO), about 20 ns.
    public static func monotonic() -> IOInstant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return IOInstant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    /// Now, up to 4 ms behind, on the same clock (CLOCK_MONOTONIC_COARSE): about 6 ns.
    public static func coarseMonotonic() -> IOInstant {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return IOInstant(nanoseconds: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
    }

    /// This instant moved by a duration; saturates at the ends of the clock.
    public func advanced(by duration: Duration) -> IOInstant {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflowToo) = nanoseconds.addingReportingOverflow(whole)
        if overflow || overflowToo { return IOInstant(nanoseconds: seconds < 0 ? .min : .max) }
        let (all, overflowLast) = sum.addingReportingOverflow(attoseconds / 1_000_000_000)
        return IOInstant(nanoseconds: overflowLast ? (attoseconds < 0 ? .min : .max) : all)
    }

    /// Nanoseconds from `earlier` to this instant.
    @inlinable
    public func nanoseconds(since earlier: IOInstant) -> Int64 {
        nanoseconds &- earlier.nanoseconds
    }
}
