internal import IOEngineCore

/// Numbers of the kernel's interface (`include/uapi/linux/io_uring.h`). They never change, and
/// headers may be older than the kernel that the program runs on.
@usableFromInline
enum URingConstants {
    @inlinable static var setUpSubmissionPolling: UInt32 { 1 << 1 }
    static let setUpPollingAffinity: UInt32 = 1 << 2
    static let setUpCompletionQueueSize: UInt32 = 1 << 3
    static let setUpSubmitAll: UInt32 = 1 << 7
    static let setUpCooperative: UInt32 = 1 << 8
    static let setUpTaskRunFlag: UInt32 = 1 << 9
    static let setUpSingleIssuer: UInt32 = 1 << 12
    @inlinable static var setUpDeferTaskRun: UInt32 { 1 << 13 }
    /// Linux 6.6: entries are taken in their own order, without an array of indices between.
    static let setUpNoIndexArray: UInt32 = 1 << 16

    @inlinable static var enterGetEvents: UInt32 { 1 << 0 }
    static let enterWakePolling: UInt32 = 1 << 1
    static let enterWaitForRoom: UInt32 = 1 << 2
    static let enterExtendedArgument: UInt32 = 1 << 3
    static let enterRegisteredRing: UInt32 = 1 << 4
    /// Linux 6.15: a waiting thread does not count as waiting for IO, so an idle ring is not shown
    /// as 100 % iowait.
    static let enterNoIOWait: UInt32 = 1 << 7

    static let featureSingleMapping: UInt32 = 1 << 0
    static let featureExtendedArgument: UInt32 = 1 << 8
    static let featureNoIOWait: UInt32 = 1 << 17

    static let queueNeedsWakeUp: UInt32 = 1 << 0
    @inlinable static var queueOverflown: UInt32 { 1 << 1 }
    @inlinable static var queueHasTaskWork: UInt32 { 1 << 2 }

    @inlinable static var entryAsynchronous: UInt8 { 1 << 4 }
    @inlinable static var entryFixedFile: UInt8 { 1 << 0 }
    static let syncDataOnly: UInt32 = 1 << 0

    /// Where in the ring's file the queues and the entries are mapped from.
    static let queuesOffset = 0
    static let entriesOffset = 0x1000_0000

    /// Cancels every request of the ring (Linux 5.19): all matches, any user data.
    static let cancelAll: UInt32 = 1 << 0
    static let cancelAny: UInt32 = 1 << 2
}

/// User data of the driver's own entries: slots that no loop uses.
@usableFromInline
enum InternalEntry {
    @inlinable static var wakeUp: UInt64 { .max }
    @inlinable static var cancellation: UInt64 { .max - 1 }
    @inlinable static var probe: UInt64 { .max - 2 }
    @inlinable static var timer: UInt64 { .max - 3 }
    /// The cancellation of slot 0's request; those of the other slots follow.
    @inlinable static var firstCancellation: UInt64 { .max - 0x1_ffff }

    @inlinable @inline(__always)
    static func isInternal(_ userData: UInt64) -> Bool { userData >= firstCancellation }

    /// Whose cancellation it is; nil: it is something else.
    static func cancelledSlot(_ userData: UInt64) -> Int? {
        userData - firstCancellation <= UInt64(IOToken.largestSlot)
            ? Int(userData - firstCancellation) : nil
    }
}
