// The example in README.md, word for word; a test compares the two.
import IOEngineCore
import IOEngineURing
import SystemPackage

let file = try IODescriptor.open(
    "/tmp/ioengine-loop.dat", .readWrite, options: [.create, .truncate])
var loop = try IOLoop<ClosureCallback, URingDriver>(
    depth: 32, driver: try URingDriver(depth: 32))

_ = loop.submit(
    .write(
        file, from: IOBuffer(copying: Array("Hello from the ring".utf8)), at: 0,
        callback: ClosureCallback { event, submitter in
            // Runs once, inside loop.run. It may submit again: here the bytes are read back.
            _ = submitter.submit(
                .read(
                    file, into: IOBuffer(capacity: 4096), at: 0,
                    callback: ClosureCallback { event in
                        switch event.result {
                        case .success(let bytes): print("read \(bytes) bytes back")
                        case .failure(let error): print(error)
                        }
                    }))
        }))
while loop.inFlight > 0 { loop.run() }
