import BasicContainers
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

extension Mix where Driver: ~Copyable {
    /// Waits, and checks all that is finished.
    mutating func finishSome(minimum: Int) throws {
        let outcome = loop.wait(minimum: minimum)
        try #require(outcome == .ready)
        while var event = loop.next() {
            let value = event.callback?.value
            let number = try #require(value)
            let known = inFlight.removeValue(forKey: number)
            let operation = try #require(known, "each comes back once; \(note)")
            let place =
                "operation \(number), \(operation.kind) of \(operation.range), of "
                + "\(operation.sizeBefore) bytes; \(note)"
            try check(&event, operation, number, place)
        }
    }

    private mutating func check(
        _ event: inout Event, _ operation: Operation, _ number: Int, _ place: String
    ) throws {
        let moved = event.transferred
        let isSettled = event.isSettled
        try #require(isSettled, "\(place)")
        switch event.result {
        case .failure(let error):
            try checkFailure(error, moved, operation, place)
            let mayDiffer = operation.mayBeStopped || isToldOfAnother(error, operation)
            outcomes[number] = mayDiffer ? .stopped : .failed(error.errno)
            // The mix is to go on with syncs.
            if error.reason == .dataMayBeLost { loop.clearSyncError(file) }
        case .success(let count):
            try #require(count == moved, "\(place)")
            try #require(!operation.isBad || operation.handsOver, "\(place)")
            try #require(operation.answer != .cancelled, "\(place)")
            let whole = operation.kind.isRead ? operation.found.count : operation.range.count
            if operation.handsOver, count < whole {
                try #require(count > 0, "\(place)")
            } else {
                try #require(count == whole, "\(place)")
            }
        }
        if operation.kind.isRead {
            let bytes = takeBytes(&event)
            let isRight = unsafe isEqual(bytes.span.bytes, operation.found.prefix(moved))
            try #require(isRight, "\(place)")
            if event.errno == nil {
                outcomes[number] = .moved(
                    operation.handsOver ? 0 : moved,
                    hash: operation.handsOver ? 0 : bytes.hashValue)
            }
        } else if event.errno == nil {
            outcomes[number] = .moved(operation.handsOver ? 0 : moved, hash: 0)
        }
        // Short before the bad sector, or an error in it: as chance has it.
        if operation.handsOver, operation.isBad { outcomes[number] = .stopped }
        if operation.isWrite, moved < operation.range.count {
            try checkPartialWrite(operation, moved, place)
        }
    }

    private func checkFailure(
        _ error: IOError, _ moved: Int, _ operation: Operation, _ place: String
    ) throws {
        if operation.isBad, error.errno == .ioError { return }
        if isToldOfAnother(error, operation) { return }
        let isStop = error.errno == .canceled || error.errno == .timedOut
        try #require(isStop && operation.mayBeStopped, "\(error); \(place)")
        if operation.answer == .cancelled { try #require(moved == 0, "\(place)") }
    }

    /// What is lost is told once: to one part of a joined write that is to be durable, and to the syncs
    /// after it.
    private func isToldOfAnother(_ error: IOError, _ operation: Operation) -> Bool {
        guard error.errno == .ioError, !operation.isBad else { return false }
        return error.reason == (operation.isDurable ? .dataMayBeLost : .stickySyncError)
            && (operation.isDurable || operation.kind == .sync)
    }

    /// What a write that failed left: each byte old or new; the first `moved` new.
    private mutating func checkPartialWrite(
        _ operation: Operation, _ moved: Int, _ place: String
    ) throws {
        let now = contents(operation.range)
        try #require(now.count == operation.range.count, "\(place)")
        var isRight = unsafe isEqual(
            now.span.extracting(first: moved).bytes, operation.written.prefix(moved))
        for i in moved..<now.count
        where now[i] != operation.found[i] && now[i] != operation.written[i] {
            isRight = false
        }
        if operation.answer == .cancelled { isRight = isRight && now == operation.found }
        try #require(isRight, "\(place)")
        model.write(now, at: operation.range.lowerBound)
    }

    private func takeBytes(_ event: inout Event) -> [UInt8] {
        var all: [UInt8] = []
        if event.action == .read {
            all = [UInt8](copying: event.buffer)
        } else {
            var buffers = event.takeBuffers()
            while !buffers.isEmpty { all += [UInt8](copying: buffers.remove(at: 0)) }
        }
        return all
    }
}
