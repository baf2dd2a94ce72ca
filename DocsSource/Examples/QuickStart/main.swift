// The example of the README: the tests compare the two and run this.
import IOEngineCore
import IOEngineURing
import SystemPackage

let file = try IODescriptor.open(
    "/tmp/ioengine-quickstart.dat", .readWrite, options: [.create, .truncate])
let context = try IOContext<ClosureCallback, URingDriver>(depth: 32) { () throws(IOError) in
    try URingDriver(depth: 32)
}

// From any thread. The buffer moves into the engine, and comes back with the event. Should the context take
// nothing any more, orCancel() calls the event back with ECANCELED.
context.submit(
    .write(file, from: IOBuffer(copying: Array("Hello from the ring".utf8)), at: 0)
).orCancel()
context.submit(.sync(file)).orCancel()  // begins when the write has settled
try context.drain()

context.submit(
    .read(
        file, into: IOBuffer(capacity: 4096), at: 0,
        callback: ClosureCallback { event in
            // Runs exactly once, on the context's own thread.
            switch event.result {
            case .success(let bytes): print("read \(bytes) bytes back")
            case .failure(let error): print(error)
            }
        })
).orCancel()
context.shutdown()  // after everything accepted was called back
