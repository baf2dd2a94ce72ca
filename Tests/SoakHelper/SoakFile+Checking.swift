import Glibc
import IOEngineCore
import SystemPackage
import TestSupport

extension SoakFile {
    /// An event came back: it must be one of ours, once, and what it did must be allowed.
    func finish(_ number: Int, _ event: borrowing IOEvent<SoakCallback>) {
        guard let operation = operations.removeValue(forKey: number) else {
            return note("operation \(number) came back twice or was never submitted")
        }
        let outcome = event.outcome
        let place = "\(operation.kind) \(number) of \(operation.range)"
        if !outcome.isSettled { return note("\(place) was given up") }
        let stopped = outcome.errno == .canceled || outcome.errno == .timedOut
        if let error = outcome.error, !stopped { return note("\(place): \(error)") }
        verdict(operation, outcome)
        switch operation.kind {
        case .read:
            let moved = outcome.transferred
            if !stopped, moved != operation.bytes.count { note("\(place) moved \(moved) bytes") }
            let wanted = Array(operation.bytes.prefix(moved))
            if !isEqual(event.buffer.bytes.extracting(first: moved), wanted) {
                note("\(place) found something else")
            }
        case .write, .append:
            let isAsked = operation.isCancelled || operation.stop != .none
            if operation.kind == .append, !stopped, isAsked, !outcome.isDone {
                // Never continued, so what was stopped in the middle comes back short.
                settle(operation, place, certain: outcome.transferred)
            } else if !stopped {
                if outcome.transferred != operation.range.count {
                    note("\(place) moved \(outcome.transferred) bytes")
                }
                model.write(operation.bytes, at: operation.range.lowerBound)
            } else {
                settle(operation, place, certain: outcome.transferred)
            }
        case .allocate:
            if stopped { settle(operation, place, certain: 0) } else { apply(operation) }
        case .sync: break
        }
    }

    private func verdict(_ operation: Operation, _ outcome: Outcome) {
        if operation.isCancelled {
            count(outcome.errno == .canceled ? "cancelled" : "done in spite of a cancellation")
            if outcome.errno == .canceled, outcome.transferred > 0 { count("cancelled half-way") }
            if outcome.errno == .timedOut { note("a cancellation that timed out") }
        } else if operation.stop == .pastDeadline || operation.stop == .soonDeadline {
            count(outcome.errno == .timedOut ? "timed out" : "done in spite of a deadline")
            if outcome.errno == .canceled { note("a deadline that cancelled") }
        } else if outcome.error != nil {
            note("stopped although nobody asked")
        } else {
            count("done")
        }
    }

    private func apply(_ operation: Operation) {
        let mode = operation.mode
        if mode != .extend && mode != .keepSize { model.zero(operation.range) }
        if mode == .extend || mode == .zeroRange { model.grow(to: operation.range.upperBound) }
    }

    /// A stopped operation may have been done in part: each byte is the old one or the new one, and the
    /// first `certain` are new. What is there is what counts from now on.
    private func settle(_ operation: Operation, _ place: String, certain: Int) {
        var after = model
        switch operation.kind {
        case .write, .append: after.write(operation.bytes, at: operation.range.lowerBound)
        default:
            let mode = operation.mode
            if mode != .extend && mode != .keepSize { after.zero(operation.range) }
            if mode == .extend || mode == .zeroRange {
                after.grow(to: operation.range.upperBound)
            }
        }
        guard let found = content(operation.range.clamped(to: 0..<after.size)),
            let size = try? buffered.fileDescriptor.seek(offset: 0, from: .end)
        else { return note("\(place): the file cannot be read") }
        // The size belongs to whoever claims the end of the file.
        let ownsEnd = operation.claim.upperBound == .max
        if ownsEnd, size < model.size || size > after.size {
            note("\(place) left \(size) bytes, not \(model.size) to \(after.size)")
        }
        var before = model
        before.grow(to: after.size)
        let start = operation.range.lowerBound
        var changed = false
        for (i, byte) in found.enumerated() {
            let (old, new) = (before.bytes[start + i], after.bytes[start + i])
            if byte != new && (byte != old || i < certain) {
                return note("\(place) left a byte at \(start + i) that is neither old nor new")
            }
            if byte != old { changed = true }
        }
        count(changed ? "stopped and changed something" : "stopped and changed nothing")
        if ownsEnd { model.grow(to: Int(size)) }
        // Behind its end the file has nothing, and an empty write would make it longer.
        if model.size > start { model.write(Array(found.prefix(model.size - start)), at: start) }
    }

    /// Part of the file as `pread(2)` sees it, filled up with zeros.
    private func content(_ range: Range<Int>) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: range.count)
        var count = 0
        while count < range.count {
            let here = count
            let more = unsafe bytes.withUnsafeMutableBytes { all in
                unsafe pread(
                    buffered.rawValue, all.baseAddress.unsafelyUnwrapped + here, all.count - here,
                    off_t(range.lowerBound + here))
            }
            if more < 0 { return nil }
            if more == 0 { break }
            count += more
        }
        return bytes
    }

    /// Nothing is in flight: the whole file must be as the model says.
    func checkWhole() {
        if !operations.isEmpty { note("\(operations.count) operations never came back") }
        let size = (try? buffered.fileDescriptor.seek(offset: 0, from: .end)) ?? -1
        if size != Int64(model.size) { note("the file has \(size) bytes, not \(model.size)") }
        if content(0..<model.size) != model.bytes { note("the file is not as the model says") }
    }
}
