import Glibc
import IOEngineCore
import Synchronization
import SystemPackage

/// A signal each millisecond, whose handler does not restart system calls: no result changes.
enum SignalStorm: Scenario {
    static func run<Driver: IODriver & ~Copyable>(
        _ arguments: [String], _ make: (Int) throws -> Driver
    ) throws {
        let blocks = 2048
        let path = FilePath(arguments[0])
        let file = try IODescriptor.open(path, .readWrite, options: [.create, .truncate])
        let direct = try IODescriptor.open(path, .readWrite, direct: true)
        var loop = try HelperLoop(depth: 16, driver: try make(16))
        var buffer = IOBuffer(zeroed: blocks * 4096)
        for block in 0..<blocks {
            var bytes = buffer.mutableBytes
            bytes.storeBytes(of: UInt64(block) + 1, toByteOffset: block * 4096, as: UInt64.self)
        }
        let written = try perform(&loop, .write(file, from: buffer, at: 0))
        check(written.bytes == blocks * 4096, "the file: \(written)")

        startStorm()
        for _ in 0..<4 {
            var next = 0
            var finished = 0
            while finished < blocks {
                while loop.hasRoom, next < blocks {
                    let isBuffered = next % 5 == 0
                    let event = HelperEvent.read(
                        isBuffered ? file : direct, into: IOBuffer(capacity: 4096),
                        at: Int64(next) * 4096)
                    check(loop.submit(event).isAccepted, "there was room")
                    next += 1
                }
                if case .failed(let errno) = loop.wait(minimum: loop.inFlight) {
                    check(false, "a wait failed with \(errno)")
                }
                while let event = loop.next() {
                    finished += 1
                    check(
                        event.transferred == 4096 && event.errno == nil, "a read at \(event.offset)"
                    )
                    var mark: UInt64 = 0
                    for i in (0..<8).reversed() { mark = mark << 8 | UInt64(event.buffer[i]) }
                    check(mark == UInt64(event.offset / 4096) + 1, "the bytes at \(event.offset)")
                }
            }
            let sync = try perform(&loop, .sync(direct))
            check(sync.error == nil, "a sync: \(sync)")
        }
        // A wait with nothing in flight: until the storm has hit at least this often.
        let start = storms.load(ordering: .relaxed)
        while storms.load(ordering: .relaxed) < start + 50 {
            let outcome = loop.wait(minimum: 1, deadline: loop.now.advanced(by: .milliseconds(50)))
            check(outcome == .ready || outcome == .deadlinePassed, "a wait for nothing: \(outcome)")
        }
        print("signals: \(storms.load(ordering: .relaxed))")
    }
}

/// Signals so far. Counted by the handler, in the middle of anything.
private let storms = Atomic<Int>(0)

func startStorm() {
    // Made before the first signal.
    storms.store(0, ordering: .relaxed)
    var action = sigaction()
    unsafe action.__sigaction_handler.sa_handler = { _ in storms.add(1, ordering: .relaxed) }
    action.sa_flags = 0
    check(unsafe sigaction(SIGALRM, &action, nil) == 0, "sigaction")
    var timer = itimerval(
        it_interval: timeval(tv_sec: 0, tv_usec: 1000), it_value: timeval(tv_sec: 0, tv_usec: 1000))
    check(unsafe setitimer(Int32(ITIMER_REAL.rawValue), &timer, nil) == 0, "setitimer")
}
