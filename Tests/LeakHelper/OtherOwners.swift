import BasicContainers
import IOEngine
import IOEngineCore
import IOEngineMerge
import SystemPackage

/// Everything else that owns something.
enum OtherOwners {
    static var all: [Owner] {
        [
            Owner("buffers") { _ in
                let buffer = IOBuffer(copying: [1, 2, 3])
                _ = consume buffer
                _ = IOBuffer(zeroed: 100_000)
            },
            Owner("a pool that ends before its buffers") { _ in
                var buffer: IOBuffer?
                do {
                    let pool = try IOBufferPool(count: 4, bufferCapacity: 8192)
                    buffer = pool.take()
                }
                _ = consume buffer
            },
            Owner("a pool in huge pages") { _ in
                let pool = try IOBufferPool(count: 4, bufferCapacity: 8192, hugePages: true)
                _ = pool.take()
            },
            Owner("descriptors") { place in
                let file = try IODescriptor.open(FilePath(place.path), .readOnly)
                _ = try IODescriptor.open(FilePath(place.path), .readOnly).close()
                _ = file.facts
            },
            Owner("a descriptor that cannot be opened") { place in
                _ = try? IODescriptor.open(FilePath(place.path + "/none"), .readOnly)
            },
            Owner("events that were never submitted") { place in
                let event = IOEvent<ClosureCallback>.read(
                    place.buffered, into: IOBuffer(capacity: 4096), at: 0,
                    callback: ClosureCallback { _ in print(place.path) })
                _ = consume event
            },
            Owner("workers") { _ in _ = try IOWorkers(count: 3) },
            Owner("a merging submitter") { place in
                var submitter = MergeSubmitter<NoCallback>()
                _ = submitter.add(.read(place.buffered, into: IOBuffer(capacity: 512), at: 0))
            },
            Owner("a report of io_uring") { _ in _ = try URingReport(depth: 8) },
            Owner("a report of the drivers") { place in
                _ = try SystemReport(depth: 8)
                _ = try? PathReport(place.path)
            },
        ]
    }
}
