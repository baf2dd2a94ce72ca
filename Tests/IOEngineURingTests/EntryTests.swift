import CKernelURing
import TestSupport
import Testing

@testable import IOEngineURing

/// The structures that are shared with the kernel lie as its header says.
@Suite struct EntryTests {
    @Test func anEntryIsAnSqe() {
        #expect(MemoryLayout<URingEntry>.size == MemoryLayout<io_uring_sqe>.size)
        #expect(MemoryLayout<URingEntry>.stride == 64)
        var theirs = io_uring_sqe()
        theirs.opcode = UInt8(IORING_OP_READ_FIXED.rawValue)
        theirs.fd = 7
        theirs.addr = 0x1000
        theirs.len = 9
        theirs.off = 11
        theirs.buf_index = 13
        theirs.flags = URingConstants.entryFixedFile
        theirs.ioprio = 15
        theirs.rw_flags = 17
        theirs.user_data = 19
        var ours = URingEntry(.readRegistered)
        ours.descriptor = 7
        ours.address = 0x1000
        ours.length = 9
        ours.offset = 11
        ours.region = 13
        ours.flags = URingConstants.entryFixedFile
        ours.priority = 15
        ours.operationFlags = 17
        ours.userData = 19
        let isSame = bytes(of: &theirs) == bytes(of: &ours)
        #expect(isSame)
    }

    @Test func aCancellationIsTheirs() {
        var theirs = io_uring_sqe()
        theirs.opcode = UInt8(IORING_OP_ASYNC_CANCEL.rawValue)
        theirs.fd = -1
        theirs.addr = 5
        theirs.cancel_flags = URingConstants.cancelAny
        theirs.user_data = InternalEntry.cancellation
        var ours = URingEntry(cancelling: 5, flags: URingConstants.cancelAny)
        let isSame = bytes(of: &theirs) == bytes(of: &ours)
        #expect(isSame)
    }

    @Test func theOperationsHaveTheirNumbers() {
        let pairs: [(URingOperation, io_uring_op)] = [
            (.nothing, IORING_OP_NOP), (.readVectored, IORING_OP_READV),
            (.writeVectored, IORING_OP_WRITEV), (.sync, IORING_OP_FSYNC),
            (.readRegistered, IORING_OP_READ_FIXED), (.writeRegistered, IORING_OP_WRITE_FIXED),
            (.cancel, IORING_OP_ASYNC_CANCEL), (.allocate, IORING_OP_FALLOCATE),
            (.read, IORING_OP_READ), (.write, IORING_OP_WRITE),
        ]
        for (ours, theirs) in pairs { #expect(UInt32(ours.number) == theirs.rawValue) }
    }

    @Test func aCompletionIsACqe() {
        #expect(MemoryLayout<URingCompletion>.size == 16)
        #expect(MemoryLayout<URingCompletion>.offset(of: \.userData) == 0)
        #expect(MemoryLayout<URingCompletion>.offset(of: \.result) == 8)
    }

    @Test func whatARingIsAskedForLiesAsTheirs() {
        typealias Ours = URingParameters
        typealias Theirs = io_uring_params
        #expect(MemoryLayout<Ours>.size == MemoryLayout<Theirs>.size)
        #expect(MemoryLayout<Ours>.size == 120)
        let places: [(Int?, Int?)] = [
            (
                MemoryLayout<Ours>.offset(of: \.completionEntries),
                MemoryLayout<Theirs>.offset(of: \.cq_entries)
            ),
            (MemoryLayout<Ours>.offset(of: \.flags), MemoryLayout<Theirs>.offset(of: \.flags)),
            (
                MemoryLayout<Ours>.offset(of: \.pollingProcessor),
                MemoryLayout<Theirs>.offset(of: \.sq_thread_cpu)
            ),
            (
                MemoryLayout<Ours>.offset(of: \.pollingIdleMilliseconds),
                MemoryLayout<Theirs>.offset(of: \.sq_thread_idle)
            ),
            (
                MemoryLayout<Ours>.offset(of: \.features),
                MemoryLayout<Theirs>.offset(of: \.features)
            ),
            (
                MemoryLayout<Ours>.offset(of: \.submission.array),
                MemoryLayout<Theirs>.offset(of: \.sq_off.array)
            ),
            (
                MemoryLayout<Ours>.offset(of: \.submission.flags),
                MemoryLayout<Theirs>.offset(of: \.sq_off.flags)
            ),
            (
                MemoryLayout<Ours>.offset(of: \.completion.entries),
                MemoryLayout<Theirs>.offset(of: \.cq_off.cqes)
            ),
            (
                MemoryLayout<Ours>.offset(of: \.completion.tail),
                MemoryLayout<Theirs>.offset(of: \.cq_off.tail)
            ),
        ]
        for (ours, theirs) in places { #expect(ours != nil && ours == theirs) }
    }

    @Test func argumentsLieAsTheirs() {
        #expect(
            MemoryLayout<URingWaitArgument>.size == MemoryLayout<io_uring_getevents_arg>.size)
        #expect(
            MemoryLayout<URingWaitArgument>.offset(of: \.time)
                == MemoryLayout<io_uring_getevents_arg>.offset(of: \.ts))
        #expect(MemoryLayout<URingTime>.size == MemoryLayout<__kernel_timespec>.size)
        #expect(MemoryLayout<URingUpdate>.size == MemoryLayout<io_uring_files_update>.size)
        #expect(
            MemoryLayout<URingUpdate>.offset(of: \.data)
                == MemoryLayout<io_uring_files_update>.offset(of: \.fds))
    }
}
