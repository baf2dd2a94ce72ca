/// What a ring is asked for and what it was granted: `struct io_uring_params` of linux/io_uring.h.
struct URingParameters {
    /// Places in the submission queue, as granted.
    var submissionEntries: UInt32 = 0
    /// Places in the completion queue, as asked for and as granted.
    var completionEntries: UInt32 = 0
    /// IORING_SETUP_* bits.
    var flags: UInt32 = 0
    var pollingProcessor: UInt32 = 0
    var pollingIdleMilliseconds: UInt32 = 0
    /// IORING_FEAT_* bits, as granted.
    var features: UInt32 = 0
    var otherRing: UInt32 = 0
    var reserved: (UInt32, UInt32, UInt32) = (0, 0, 0)
    var submission = SubmissionOffsets()
    var completion = CompletionOffsets()

    /// Where in the mapping the submission queue's parts lie: `struct io_sqring_offsets`.
    struct SubmissionOffsets {
        var head: UInt32 = 0
        var tail: UInt32 = 0
        var mask: UInt32 = 0
        var count: UInt32 = 0
        var flags: UInt32 = 0
        var dropped: UInt32 = 0
        /// The index array; 0: there is none.
        var array: UInt32 = 0
        var reserved: UInt32 = 0
        var address: UInt64 = 0
    }

    /// Where in the mapping the completion queue's parts lie: `struct io_cqring_offsets`.
    struct CompletionOffsets {
        var head: UInt32 = 0
        var tail: UInt32 = 0
        var mask: UInt32 = 0
        var count: UInt32 = 0
        var overflow: UInt32 = 0
        var entries: UInt32 = 0
        var flags: UInt32 = 0
        var reserved: UInt32 = 0
        var address: UInt64 = 0
    }
}

/// How long a wait may take: `struct io_uring_getevents_arg` of linux/io_uring.h (Linux 5.11).
struct URingWaitArgument {
    var signals: UInt64 = 0
    var signalBytes: UInt32 = 0
    var reserved: UInt32 = 0
    /// The address of a ``URingTime``.
    var time: UInt64 = 0
}

/// A time span: `struct __kernel_timespec` of linux/time_types.h.
struct URingTime {
    var seconds: Int64
    var nanoseconds: Int64
}

/// Descriptors for a table's places: `struct io_uring_files_update` of linux/io_uring.h, and, with
/// one number in place of the address, `struct io_uring_rsrc_update`.
struct URingUpdate {
    var offset: UInt32
    var reserved: UInt32 = 0
    var data: UInt64
}
