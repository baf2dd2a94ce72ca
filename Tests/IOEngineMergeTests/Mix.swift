import BasicContainers
import IOEngineCore
import SystemPackage
import TestSupport
import Testing

/// A random mix of everything on one file, against a model of it in memory.
///
/// The operations come from the seed alone, not from how fast they finish, so two drivers that are
/// given the same mix must come to the same. What is in flight together does not overlap, but for
/// reads; many operations continue the one before.
struct Mix<Driver: IODriver & ~Copyable>: ~Copyable {
    /// Which operation an event is.
    struct Number: IOCallback {
        let value: Int
        consuming func call(
            _ event: consuming IOEvent<Self>, _ submitter: borrowing IOSubmitter<Self>
        ) {}
    }
    typealias Event = IOEvent<Number>

    /// One that is in flight.
    struct Operation {
        var kind: MixKind
        var range: Range<Int>
        /// What it keeps others from, in whole units.
        var claim: Range<Int>
        var isWrite: Bool
        /// The file's size before it, as far as that is certain.
        var sizeBefore = 0
        /// Ends behind that.
        var extends = false
        /// Depends on the file's size.
        var reachesEnd = false
        var handsOver = false
        var mayBeStopped = false
        var isBad = false
        /// A write that is durable when it has finished.
        var isDurable = false
        /// What a read must find, what a write found there, and what it writes.
        var found: [UInt8] = []
        var written: [UInt8] = []
        var ticket: IOTicket?
        /// What cancelling it answered.
        var answer: IOCancellation?
    }

    var loop: IOLoop<Number, Driver>
    let options: MixOptions
    let file: FileDescriptor
    /// Reads the file as it is, past the loop.
    let contents: (Range<Int>) -> [UInt8]
    var random: SeededRandom
    /// For what is not part of the mix: when to wait, what to cancel.
    var chance: SeededRandom
    let bytes: RandomBytes
    var model = FileModel()
    var inFlight: [Int: Operation] = [:]
    var drawing: MixDrawing
    var submitted = 0
    /// How each operation ended, by number: for comparing two runs.
    var outcomes: [MixOutcome] = []

    init(
        _ driver: consuming Driver, depth: Int, on file: FileDescriptor, initially: [UInt8],
        _ options: MixOptions, seed: UInt64, contents: @escaping (Range<Int>) -> [UInt8]
    ) throws {
        loop = try IOLoop(depth: depth, driver: driver)
        self.options = options
        self.file = file
        self.contents = contents
        random = SeededRandom(seed: seed)
        chance = SeededRandom(seed: seed ^ 0x5555)
        bytes = RandomBytes(count: 4 * options.largest, using: &random)
        drawing = MixDrawing(options)
        model.write(initially, at: 0)
    }

    var note: String { random.note }

    mutating func run(operations: Int) throws {
        outcomes = Array(repeating: .missing, count: operations)
        while submitted < operations {
            let drawn = drawing.next(&random, size: model.size)
            while !loop.hasRoom || collides(drawn) { try finishSome(minimum: 1) }
            try submit(drawn)
            if chance.isOne(in: 40) { cancelSome() }
            if chance.isOne(in: 12) {
                try finishSome(minimum: Int.random(in: 0...6, using: &chance))
            }
        }
        while loop.inFlight > 0 { try finishSome(minimum: 1) }
        try #require(inFlight.isEmpty, "each comes back; \(note)")
        let isSame = contents(0..<model.size + 1) == model.bytes
        try #require(isSame, "the whole file; \(note)")
    }

    // MARK: Submitting

    private func claim(_ range: Range<Int>) -> Range<Int> {
        let unit = options.unit
        return range.lowerBound / unit * unit..<(range.upperBound + unit - 1) / unit * unit
    }

    /// What nobody in flight may still change: the model has the size that all of them come to.
    private var certainSize: Int {
        inFlight.values.lazy.filter(\.extends).map(\.sizeBefore).min() ?? model.size
    }

    private func collides(_ drawn: MixDrawn) -> Bool {
        if !drawn.kind.isTransfer { return false }
        let claim = claim(drawn.range)
        let isBeyond = drawn.range.upperBound > certainSize
        let extends = drawn.kind.isWrite && isBeyond
        let reachesEnd = drawn.kind == .append || isBeyond
        for other in inFlight.values where other.kind.isTransfer {
            if (drawn.kind.isWrite || other.isWrite) && other.claim.overlaps(claim) { return true }
            // Two writes may make the file longer together; nobody else sees its size meanwhile.
            if extends && other.reachesEnd || other.extends && reachesEnd {
                let both = extends && other.extends
                if !both || drawn.kind == .append || other.kind == .append { return true }
            }
        }
        return false
    }

    private mutating func submit(_ drawn: MixDrawn) throws {
        var operation = Operation(
            kind: drawn.kind, range: drawn.range, claim: claim(drawn.range),
            isWrite: drawn.kind.isWrite)
        operation.sizeBefore = certainSize
        let isBeyond = drawn.range.upperBound > operation.sizeBefore
        operation.extends = operation.isWrite && isBeyond
        operation.reachesEnd = isBeyond || drawn.kind == .append
        operation.isBad = options.badRanges.contains { $0.overlaps(drawn.range) }
        let count = model.readable(at: drawn.range.lowerBound, count: drawn.range.count)
        if drawn.kind.isTransfer, count > 0 {
            operation.found = Array(model.bytes[drawn.range.prefix(count)])
        }
        if operation.isWrite {
            operation.written = bytes.some(drawn.range.count, using: &random)
            model.write(operation.written, at: drawn.range.lowerBound)
        }
        operation.handsOver = drawn.handsOver
        operation.isDurable = !drawn.flags.isDisjoint(with: [.dataSync, .sync])
        var event = makeEvent(drawn, operation)
        let number = submitted
        event.callback = Number(value: number)
        var limits = IOLimits.none
        if options.stops, chance.isOne(in: 100) {
            let time = Duration.nanoseconds(Int.random(in: 0...20_000, using: &chance))
            limits = IOLimits(deadline: loop.now.advanced(by: time))
            operation.mayBeStopped = true
        }
        guard case .accepted(let ticket) = loop.submit(event, limits) else {
            Issue.record("there was room; \(note)")
            throw Errno.noBufferSpace
        }
        operation.ticket = ticket
        inFlight[number] = operation
        submitted += 1
    }

    private mutating func makeEvent(_ drawn: MixDrawn, _ operation: Operation) -> Event {
        let offset = Int64(drawn.range.lowerBound)
        var event: Event
        switch drawn.kind {
        case .noOperation: return .noOperation()
        case .sync: return .sync(file, drawn.handsOver ? .data : .full)
        case .read: event = .read(file, into: IOBuffer(capacity: drawn.range.count), at: offset)
        case .write, .append:
            event = .write(file, from: IOBuffer(copying: operation.written), at: offset)
        case .readVectored:
            var buffers = UniqueArray<IOBuffer>()
            for part in parts(of: drawn.range.count) { buffers.append(IOBuffer(capacity: part)) }
            event = .read(file, into: buffers, at: offset)
        case .writeVectored:
            var buffers = UniqueArray<IOBuffer>()
            var start = 0
            for part in parts(of: drawn.range.count) {
                let some = Array(operation.written[start..<start + part])
                buffers.append(IOBuffer(copying: some))
                start += part
            }
            event = .write(file, from: buffers, at: offset)
        }
        event.flags = drawn.flags
        if drawn.handsOver { event.shortTransfers = .handsOver }
        return event
    }

    /// Two or three parts, in whole units.
    private mutating func parts(of length: Int) -> [Int] {
        let unit = length % options.alignment == 0 ? options.alignment : 1
        let units = length / unit
        if units < 2 { return [length] }
        let cut = Int.random(in: 1..<units, using: &random)
        return [cut * unit, (units - cut) * unit]
    }

    private mutating func cancelSome() {
        guard options.stops else { return }
        // By number: the order in a dictionary is none of the seed's.
        let numbers = inFlight.keys.sorted()
        guard let number = numbers.randomElement(using: &chance),
            let ticket = inFlight[number]?.ticket
        else { return }
        inFlight[number]?.mayBeStopped = true
        inFlight[number]?.answer = loop.cancel(ticket)
    }
}

/// How an operation ended.
enum MixOutcome: Equatable {
    case missing
    case moved(Int, hash: Int)
    case failed(Errno)
    /// Depends on when it was stopped, or on chance in the driver.
    case stopped

    /// Whether two runs may differ like that, where what failed or was stopped leaves a file that
    /// depends on the moment.
    func agrees(with other: MixOutcome) -> Bool {
        switch (self, other) {
        case (.stopped, _), (_, .stopped): true
        case (.moved(let some, _), .moved(let others, _)): some == others
        default: self == other
        }
    }
}
