import CLibAIO
import TestSupport
import Testing

@testable import IOEngineAIO

/// The structures that are shared with the kernel lie as libaio's do.
@Suite struct EntryTests {
    @Test func anEntryIsAnIocb() {
        let size = unsafe MemoryLayout<iocb>.size
        #expect(MemoryLayout<AIOEntry>.size == size)
        #expect(MemoryLayout<AIOEntry>.stride == 64)
        var theirs = unsafe iocb()
        var ours = AIOEntry(.readVectored)
        unsafe io_prep_preadv(&theirs, 7, nil, 9, 11)
        unsafe theirs.aio_rw_flags = 13
        unsafe theirs.aio_reqprio = 15
        unsafe theirs.u.c.flags = AIOEntry.priorityCounts
        unsafe theirs.data = UnsafeMutableRawPointer(bitPattern: 17)
        ours.descriptor = 7
        ours.length = 9
        ours.offset = 11
        ours.flags = 13
        ours.priority = 15
        ours.fields = AIOEntry.priorityCounts
        ours.data = 17
        let isSame = unsafe bytes(of: &theirs) == bytes(of: &ours)
        #expect(isSame)
    }

    @Test func theCommandsHaveTheirNumbers() {
        let pairs: [(AIOCommand, io_iocb_cmd)] = [
            (.read, IO_CMD_PREAD), (.write, IO_CMD_PWRITE), (.syncFull, IO_CMD_FSYNC),
            (.syncData, IO_CMD_FDSYNC), (.poll, IO_CMD_POLL), (.readVectored, IO_CMD_PREADV),
            (.writeVectored, IO_CMD_PWRITEV),
        ]
        for (ours, theirs) in pairs { #expect(UInt32(ours.number) == theirs.rawValue) }
    }

    @Test func aCompletionIsAnIoEvent() {
        let size = unsafe MemoryLayout<io_event>.size
        #expect(MemoryLayout<AIOEvent>.size == size)
        var theirs = unsafe io_event()
        unsafe theirs.data = UnsafeMutableRawPointer(bitPattern: 1)
        unsafe theirs.res = 3
        var ours = AIOEvent()
        ours.data = 1
        ours.result = 3
        let isSame = unsafe bytes(of: &theirs) == bytes(of: &ours)
        #expect(isSame)
    }
}
