import IOEngineMock
import SystemPackage

@testable import IOEngineCore

/// A loop over a script in which no request ends before the test says so. Events are named by their
/// priority.
struct SteeredLoop: ~Copyable {
    let script: TimedScript
    var loop: IOLoop<NoCallback, MockDriver>

    /// How an event came back.
    struct End: Equatable {
        var name: Int
        var errno: Errno?
        var reason: IOError.Reason?
        var transferred = 0
        var isSettled = true

        static func success(_ name: Int, _ transferred: Int = 0) -> End {
            End(name: name, transferred: transferred)
        }

        static func failure(
            _ name: Int, _ errno: Errno, _ reason: IOError.Reason, _ transferred: Int = 0
        ) -> End {
            End(name: name, errno: errno, reason: reason, transferred: transferred)
        }

        static func cancelled(_ name: Int, _ transferred: Int = 0) -> End {
            failure(name, .canceled, .cancelled, transferred)
        }
    }

    init(depth: Int = 8, maximumBytes: Int = .max, isDirect: Bool = false) throws(IOError) {
        script = TimedScript.steered(depth: depth)
        script.isDirect = isDirect
        loop = try IOLoop(
            depth: depth, driver: script.makeDriver(), maximumBytes: maximumBytes)
    }

    /// The loop waits for all that it has, so that must end.
    deinit {
        script.fullFor = 0
        script.stuck = 0
        script.thaw()
    }

    /// Throws what the loop did not take.
    @discardableResult
    mutating func submit(
        _ event: consuming IOEvent<NoCallback>, _ limits: IOLimits = .none
    ) throws -> IOTicket {
        switch loop.submit(event, limits) {
        case .accepted(let ticket): return ticket
        case .full: throw Refused.full
        case .closed: throw Refused.closed
        }
    }

    enum Refused: Error { case full, closed }

    /// Whether the loop has no room for it, now.
    mutating func refuses(_ event: consuming IOEvent<NoCallback>) -> Bool {
        switch loop.submit(event) {
        case .full: true
        case .accepted: false
        case .closed: false
        }
    }

    /// Bytes charged to the bound.
    var bytes: Int { unsafe loop.core.pointee.bytesInFlight }

    /// How many deadlines are set.
    var timers: Int { unsafe loop.core.pointee.timers.count }

    /// What is at the driver, in the order in which it came there.
    var begun: [Int] { script.begun }

    /// Ends a request, hands down what follows, and tells which events came back.
    mutating func answer(_ name: Int, _ result: Int? = nil) -> [End] {
        script.answer(name, result)
        return run()
    }

    /// Lets the loop do what there is to do, without waiting.
    mutating func run() -> [End] {
        var ends: [End] = []
        repeat {
            _ = loop.wait(minimum: 0)
            while let event = loop.next() { ends.append(end(event)) }
        } while script.queue.finished.count > 0
        return ends
    }

    private func end(_ event: consuming IOEvent<NoCallback>) -> End {
        var reason: IOError.Reason?
        if case .failure(let error) = event.result { reason = error.reason }
        return End(
            name: Int(event.priority.rawValue), errno: event.errno, reason: reason,
            transferred: event.transferred, isSettled: event.isSettled)
    }
}

extension TimedScript {
    /// One in which no request ends by itself, nor because it is cancelled.
    static func steered(depth: Int) -> TimedScript {
        let script = TimedScript(seed: 1, depth: depth, fileSize: 0, regionSize: 1)
        script.stuck = 100
        script.stoppings = [.never]
        script.isDirect = false
        script.size = 1 << 20
        return script
    }

    var begun: [Int] { requests.map { Int($0.request.priority.rawValue) } }

    /// Ends a request as told, else as a whole success.
    func answer(_ name: Int, _ result: Int? = nil) {
        guard let index = begun.firstIndex(of: name) else {
            violate("event \(name) is not at the driver")
            return
        }
        finish(index, result)
    }
}

/// Events with names; transfers have 100 bytes at a place of their own.
enum Named<Callback: IOCallback> {
    static var file: FileDescriptor { FileDescriptor(rawValue: 3) }

    static func read(
        _ name: Int, _ file: FileDescriptor = file, length: Int = 100,
        callback: Callback? = nil
    ) -> IOEvent<Callback> {
        named(
            name,
            .read(
                file, into: IOBuffer(capacity: length), at: Int64(name) * 1000, callback: callback))
    }

    static func write(
        _ name: Int, _ file: FileDescriptor = file, length: Int = 100, flags: IOFlags = [],
        callback: Callback? = nil
    ) -> IOEvent<Callback> {
        var buffer = IOBuffer(zeroed: length)
        for i in 0..<length { buffer[i] = TimedScript.content(at: name * 1000 + i) }
        var event = named(
            name, .write(file, from: buffer, at: Int64(name) * 1000, callback: callback))
        event.flags = flags
        return event
    }

    static func sync(
        _ name: Int, _ file: FileDescriptor = file, extent: IOSyncExtent = .data,
        callback: Callback? = nil
    ) -> IOEvent<Callback> {
        named(name, .sync(file, extent, callback: callback))
    }

    static func named(_ name: Int, _ event: consuming IOEvent<Callback>) -> IOEvent<Callback> {
        var event = event
        event.priority = IOPriority(rawValue: UInt16(name))
        return event
    }
}
