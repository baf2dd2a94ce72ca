internal import Glibc
internal import IOEngineCore
internal import SystemPackage

/// What a mock device consists of.
struct MockState {
    private struct Script {
        /// Bit by ``IOAction`` raw value.
        var actions: UInt16
        var descriptor: Int32?
        var answers: [MockAnswer]
    }

    let medium: DiskMedium
    var gates: [IOWakeGate] = []
    var otherDescriptors: Int32?
    private var scripts: [Script] = []
    var releases: [MockAnswer] = []
    var journal: [MockEntry] = []
    var counts = MockCounts()
    var violations: [String] = []
    var clock: Int64 = 0

    init(maximumVectors: Int, alignment: Int) {
        var configuration = SimulatedDisk.Configuration(seed: 0)
        configuration.maximumVectors = maximumVectors
        configuration.offsetAlignment = alignment
        configuration.memoryAlignment = alignment
        configuration.check()
        medium = DiskMedium(configuration)
    }

    func makeFile(
        _ contents: [UInt8], _ mode: FileDescriptor.AccessMode, isDirect: Bool, isAppending: Bool
    ) -> Opened {
        let name = "\(medium.files.count)"
        medium.setContents(of: name, to: contents)
        return open(
            medium.files[medium.files.count - 1], mode, isDirect: isDirect,
            isAppending: isAppending)
    }

    func makeOther(_ kind: IODescriptorFacts.Kind) -> Opened {
        open(medium.makeNamelessFile(kind: kind, "\(kind)"), .readWrite)
    }

    private func open(
        _ file: DiskFile, _ mode: FileDescriptor.AccessMode, isDirect: Bool = false,
        isAppending: Bool = false
    ) -> Opened {
        let open = OpenFile(
            file: file, isDirect: isDirect, isAppending: isAppending,
            isReadable: mode != .writeOnly, isWritable: mode != .readOnly)
        return Opened(number: medium.open(open), facts: medium.facts(open))
    }

    mutating func add(_ actions: Set<IOAction>, _ descriptor: Int32?, _ answers: [MockAnswer]) {
        var bits: UInt16 = 0
        for action in actions { bits |= 1 << action.rawValue }
        scripts.append(Script(actions: bits, descriptor: descriptor, answers: answers))
    }

    var unusedAnswers: Int { scripts.reduce(0) { $0 + $1.answers.count } }

    /// What the script says of a request.
    mutating func nextAnswer(_ request: IORequest) -> MockAnswer {
        let bit = UInt16(1) << UInt16(request.action.rawValue)
        let fitting = scripts.firstIndex { script in
            script.actions & bit != 0 && !script.answers.isEmpty
                && (script.descriptor == nil || script.descriptor == request.descriptor)
        }
        guard let fitting else { return .completes }
        let answer = scripts[fitting].answers.removeFirst()
        if scripts[fitting].answers.isEmpty { scripts.remove(at: fitting) }
        return answer
    }

    mutating func perform(_ request: IORequest, _ answer: MockAnswer) -> Int {
        let result =
            switch answer {
            case .completes, .isHeld: perform(request, limit: .max)
            case .moves(let bytes): perform(request, limit: max(0, bytes))
            case .fails(let errno): -Int(errno.rawValue)
            case .movesThenFails(let bytes, let errno):
                move(request, bytes, thenFail: errno)
            case .result(let result): result
            }
        journal.append(MockEntry(request, result))
        return result
    }

    private func move(_ request: IORequest, _ bytes: Int, thenFail errno: Errno) -> Int {
        _ = perform(request, limit: max(0, bytes))
        return -Int(errno.rawValue)
    }

    private func perform(_ original: IORequest, limit: Int) -> Int {
        var request = original
        if let other = otherDescriptors, medium.openFile(request.descriptor) == nil {
            request.descriptor = other
        }
        // A limit of 0 is no error: a transfer that moves nothing.
        if limit == 0, request.action.isTransfer { return 0 }
        switch request.action {
        case .read, .readVectored: return medium.read(request, limit: limit)
        case .write, .writeVectored: return medium.write(request, limit: limit, .all)
        case .syncData, .syncFull:
            return medium.sync(request, covered: medium.ordinal, size: .max)
        case .allocate: return medium.allocate(request, .all)
        case .noOperation: return 0
        }
    }

    func facts(_ descriptor: Int32) -> IODescriptorFacts? {
        (medium.openFile(descriptor) ?? otherDescriptors.flatMap { medium.openFile($0) })
            .map { medium.facts($0) }
    }
}
