import Glibc
import IOEngineCore
import TestSupport

/// Tells the file which of its operations came back.
struct SoakCallback: IOCallback {
    let number: Int
    // Unchecked: loop, callbacks and file live on one thread.
    nonisolated(unsafe) let file: SoakFile

    consuming func call(
        _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
    ) {
        unsafe file.finish(number, event)
    }
}

/// Random operations through one driver, stopped at random.
enum SoakRun {
    typealias Event = IOEvent<SoakCallback>

    /// One life of a driver: `operations` on the file, dropped at the end with some in flight.
    static func run<Driver: IODriver & ~Copyable>(
        _ file: SoakFile, operations: Int, depth: Int, _ driver: consuming Driver
    ) throws {
        var loop = try IOLoop<SoakCallback, Driver>(depth: depth, driver: driver)
        let last = file.submitted + operations
        var old: IOTicket?
        while file.submitted < last {
            var submitted: [Int] = []
            while loop.hasRoom, file.submitted < last {
                guard let (operation, isDirect) = file.draw() else { break }
                submitted.append(submit(&loop, file, operation, isDirect))
            }
            stop(&loop, file, submitted, .beforeHandDown)
            _ = loop.wait(minimum: 0)
            stop(&loop, file, submitted, .afterHandDown)
            if case .failed(let errno) = loop.wait(minimum: 1) {
                file.note("a wait failed with \(errno)")
            }
            stop(&loop, file, submitted, .afterWait)
            if let first = submitted.first { old = file.operations[first]?.ticket ?? old }
            loop.run(minimum: file.random.isOne(in: 4) ? loop.inFlight : 1)
            if let ticket = old, loop.inFlight == 0 {
                file.count("answered \(loop.cancel(ticket))")
                old = nil
            }
        }
        // The end of the loop finishes what is left.
    }

    private static func submit<Driver: IODriver & ~Copyable>(
        _ loop: inout IOLoop<SoakCallback, Driver>, _ file: SoakFile,
        _ drawn: SoakFile.Operation, _ isDirect: Bool
    ) -> Int {
        let number = file.submitted
        var operation = drawn
        let target = isDirect ? file.direct : file.buffered
        let offset = Int64(operation.range.lowerBound)
        var event: Event
        switch operation.kind {
        case .read:
            event = .read(target, into: IOBuffer(capacity: operation.range.count), at: offset)
        case .write: event = .write(target, from: IOBuffer(copying: operation.bytes), at: offset)
        case .append:
            event = .write(file.appending, from: IOBuffer(copying: operation.bytes), at: 0)
        case .allocate:
            event = .allocate(target, operation.mode, at: offset, length: operation.range.count)
        case .sync: event = .sync(target, Bool.random(using: &file.random) ? .data : .full)
        }
        event.callback = SoakCallback(number: number, file: file)
        var limits = IOLimits.none
        if file.random.isOne(in: 3) {
            operation.stop = SoakFile.Stop.allCases.randomElement(using: &file.random) ?? .none
        }
        switch operation.stop {
        case .pastDeadline: limits = IOLimits(deadline: loop.now.advanced(by: .microseconds(-1)))
        case .soonDeadline:
            let time = Int.random(in: 0...300, using: &file.random)
            limits = IOLimits(deadline: loop.now.advanced(by: .microseconds(time)))
        default: break
        }
        file.operations[number] = operation
        file.submitted += 1
        switch loop.submit(event, limits) {
        case .accepted(let ticket): file.operations[number]?.ticket = ticket
        case .full: file.note("no room for operation \(number)")
        case .closed: file.note("closed for operation \(number)")
        }
        return number
    }

    /// Cancels those of the operations whose time has come.
    private static func stop<Driver: IODriver & ~Copyable>(
        _ loop: inout IOLoop<SoakCallback, Driver>, _ file: SoakFile, _ numbers: [Int],
        _ when: SoakFile.Stop
    ) {
        for number in numbers where file.operations[number]?.stop == when {
            guard let ticket = file.operations[number]?.ticket else { continue }
            file.operations[number]?.isCancelled = true
            file.count("answered \(loop.cancel(ticket))")
        }
    }
}
