import CLibURing
import TestSupport
import Testing

@testable import IOEngineURing

/// The structures that are shared with the kernel lie as liburing's do.
@Suite struct EntryTests {
    @Test func anEntryIsAnSqe() {
        #expect(MemoryLayout<URingEntry>.size == MemoryLayout<io_uring_sqe>.size)
        #expect(MemoryLayout<URingEntry>.stride == 64)
        var theirs = io_uring_sqe()
        let memory = unsafe UnsafeMutableRawPointer(bitPattern: 0x1000)
        unsafe io_uring_prep_read_fixed(&theirs, 7, memory, 9, 11, 13)
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
        unsafe io_uring_prep_cancel64(&theirs, 5, Int32(URingConstants.cancelAny))
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
}
