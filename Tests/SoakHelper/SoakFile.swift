import Glibc
import IOEngineCore
import SystemPackage
import TestSupport

/// The file of a soak, what it must contain, and what is being done to it. One thread uses it.
final class SoakFile {
    /// One operation between its submission and its callback.
    struct Operation {
        var kind: Kind
        var range: Range<Int>
        /// Pages that nobody else touches meanwhile.
        var claim: Range<Int>
        /// What a write writes; what a read must find.
        var bytes: [UInt8] = []
        var mode = IOAllocationMode.extend
        /// What was, or will be, done to stop it.
        var stop = Stop.none
        var ticket: IOTicket?
        var isCancelled = false
    }

    enum Kind: String { case read, write, append, allocate, sync }

    /// When somebody wants it stopped.
    enum Stop: CaseIterable {
        case none, beforeHandDown, afterHandDown, afterWait, pastDeadline, soonDeadline
    }

    static let page = 4096
    static let largest = 512 << 10

    var random: SeededRandom
    private let source: RandomBytes
    let path: String
    let buffered: IODescriptor
    let direct: IODescriptor
    let appending: IODescriptor
    let canZeroRanges: Bool
    private let letsDirectReadsPassTheEnd: Bool
    var model = FileModel()
    var operations: [Int: Operation] = [:]
    var submitted = 0
    /// How often what happened.
    var counts: [String: Int] = [:]
    var problems: [String] = []

    init(on fileSystem: TestFileSystem, _ random: SeededRandom) throws {
        var random = random
        source = RandomBytes(count: 128 << 10, using: &random)
        self.random = random
        path = fileSystem.newPath("soak")
        canZeroRanges = fileSystem.canZeroRanges
        letsDirectReadsPassTheEnd = fileSystem.letsDirectReadsPassTheEnd
        buffered = try openNew(path)
        direct = try .open(FilePath(path), .readWrite, direct: true)
        appending = try .open(FilePath(path), .writeOnly, options: .append)
    }

    func count(_ what: String) { counts[what, default: 0] += 1 }

    func note(_ problem: String) {
        if problems.count < 20 { problems.append(problem) }
    }

    /// Draws an operation. Nil: it collides with one that is in flight.
    func draw() -> (operation: Operation, isDirect: Bool)? {
        let isDirect = Bool.random(using: &random)
        let unit = isDirect ? Self.page : 1
        let offset = Int.random(in: 0..<Self.largest / unit, using: &random) * unit
        let length =
            isDirect
            ? Int.random(in: 1...8, using: &random) * Self.page
            : Int.random(in: 1...40_000, using: &random)
        var kind = Kind.read
        var range = offset..<offset + length
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<40:
            if isDirect, !letsDirectReadsPassTheEnd, offset < model.size,
                range.upperBound > model.size
            {
                return nil
            }
        case 40..<76: kind = .write
        case 76..<82:
            kind = .append
            range = model.size..<model.size + min(length, 5000)
            if range.upperBound > 2 * Self.largest { return nil }
        case 82..<97: kind = .allocate
        default:
            let sync = Operation(kind: .sync, range: 0..<0, claim: 0..<0)
            return (sync, isDirect)
        }
        guard let claim = claim(range) else { return nil }
        var operation = Operation(kind: kind, range: range, claim: claim)
        switch kind {
        case .read:
            let end = min(range.upperBound, model.size)
            if end > range.lowerBound {
                operation.bytes = Array(model.bytes[range.lowerBound..<end])
            }
        case .write, .append: operation.bytes = source.some(range.count, using: &random)
        case .allocate:
            var modes: [IOAllocationMode] = [.extend, .keepSize, .punchHole]
            if canZeroRanges { modes += [.zeroRange, .zeroRangeKeepSize] }
            operation.mode = modes[Int.random(in: 0..<modes.count, using: &random)]
        case .sync: break
        }
        return (operation, isDirect)
    }

    private func claim(_ range: Range<Int>) -> Range<Int>? {
        model.claim(range, page: Self.page, besides: operations.values.map(\.claim))
    }
}
