internal import IOEngineCore

extension IOTrace: LosslessStringConvertible {
    /// One line a call. Spaces separate the words of a line.
    public var description: String {
        var lines = ["trace 1 \(depth) \(maximumVectors) \(actions) \(driver)"]
        for call in calls { lines.append(call.line) }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Nil for what is no trace.
    public init?(_ description: String) {
        let lines = description.split(separator: "\n")
        guard let first = lines.first else { return nil }
        let words = first.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: false)
        guard words.count >= 5, words[0] == "trace", words[1] == "1", let depth = Int(words[2]),
            let vectors = Int(words[3]), let actions = UInt16(words[4])
        else { return nil }
        driver = words.count > 5 ? String(words[5]) : ""
        self.depth = depth
        maximumVectors = vectors
        self.actions = actions
        calls = []
        for line in lines.dropFirst() {
            guard let call = Call(line: line) else { return nil }
            calls.append(call)
        }
    }
}

extension IOTrace.Call: CustomStringConvertible {
    public var description: String { line }

    var line: String {
        switch self {
        case .stage(let request, let answer):
            "stage \(request.words) \(answer == .queued ? "queued" : "full")"
        case .submit(let minimum, let deadline, let outcome, let nanoseconds):
            "submit \(minimum) \(deadline.map { "\($0)" } ?? "-") \(outcome.word) \(nanoseconds)"
        case .reap(let completions):
            (["reap"] + completions.map(\.words)).joined(separator: " ")
        case .cancel(let token, let answer): "cancel \(token.word) \(answer)"
        case .hasten: "hasten"
        case .inspect(let descriptor, let facts): "inspect \(descriptor) \(facts.words)"
        }
    }

    init?(line: Substring) {
        var words = line.split(separator: " ")[...]
        switch words.popFirst() {
        case "stage":
            guard let request = IOTrace.Request(&words), let answer = words.popFirst() else {
                return nil
            }
            self = .stage(request, answer == "queued" ? .queued : .full)
        case "submit":
            guard words.count == 4, let minimum = Int(words.removeFirst()) else { return nil }
            let deadline = Int64(words.removeFirst())
            guard let outcome = IOWaitOutcome(word: words.removeFirst()),
                let nanoseconds = Int64(words.removeFirst())
            else { return nil }
            self = .submit(
                minimum: minimum, deadline: deadline, outcome, nanoseconds: nanoseconds)
        case "reap":
            var completions: [IOTrace.Completion] = []
            while !words.isEmpty {
                guard let completion = IOTrace.Completion(&words) else { return nil }
                completions.append(completion)
            }
            self = .reap(completions)
        case "cancel":
            guard words.count == 2, let token = IOToken(word: words.removeFirst()),
                let answer = IOCancellation(word: words.removeFirst())
            else { return nil }
            self = .cancel(token, answer)
        case "hasten": self = .hasten
        case "inspect":
            guard let number = words.popFirst().flatMap({ Int32($0) }),
                let facts = IOTrace.Facts(&words)
            else { return nil }
            self = .inspect(number, facts)
        default: return nil
        }
    }
}

extension IOToken {
    fileprivate var word: String { "\(slot).\(generation)" }

    fileprivate init?(word: Substring) {
        let parts = word.split(separator: ".")
        guard parts.count == 2, let slot = UInt32(parts[0]), let generation = UInt32(parts[1])
        else { return nil }
        self.init(slot: slot, generation: generation)
    }
}

extension IOWaitOutcome {
    fileprivate var word: String {
        switch self {
        case .ready: "ready"
        case .woken: "woken"
        case .deadlinePassed: "deadline"
        case .failed(let errno): "failed.\(errno)"
        }
    }

    fileprivate init?(word: Substring) {
        switch word {
        case "ready": self = .ready
        case "woken": self = .woken
        case "deadline": self = .deadlinePassed
        default:
            guard word.hasPrefix("failed."), let errno = Int32(word.dropFirst(7)) else {
                return nil
            }
            self = .failed(errno: errno)
        }
    }
}

extension IOCancellation {
    fileprivate init?(word: Substring) {
        switch word {
        case "cancelled": self = .cancelled
        case "requested": self = .requested
        case "tooLate": self = .tooLate
        case "unknown": self = .unknown
        default: return nil
        }
    }
}

extension IOTrace.Request {
    fileprivate var words: String {
        "\(token.word) \(action) \(descriptor) \(offset) \(length) \(vectorCount) "
            + "\(flags.rawValue) \(allocationMode.rawValue)"
    }

    fileprivate init?(_ words: inout ArraySlice<Substring>) {
        guard words.count >= 8, let token = IOToken(word: words.removeFirst()) else { return nil }
        let name = words.removeFirst()
        guard let action = IOAction.allCases.first(where: { "\($0)" == name }),
            let descriptor = Int32(words.removeFirst()), let offset = Int64(words.removeFirst()),
            let length = Int(words.removeFirst()), let vectors = UInt32(words.removeFirst()),
            let flags = UInt32(words.removeFirst()), let mode = Int32(words.removeFirst())
        else { return nil }
        self.init(
            token: token, action: action, descriptor: descriptor, offset: offset, length: length,
            vectorCount: vectors, flags: IOFlags(rawValue: flags),
            allocationMode: IOAllocationMode(rawValue: mode))
    }
}

extension IOTrace.Completion {
    /// The token, the result, and the bytes in hexadecimal, or `-`.
    fileprivate var words: String {
        "\(token.word) \(result) \(bytes.isEmpty ? "-" : Hexadecimal.text(bytes))"
    }

    fileprivate init?(_ words: inout ArraySlice<Substring>) {
        guard words.count >= 3, let token = IOToken(word: words.removeFirst()),
            let result = Int(words.removeFirst())
        else { return nil }
        let text = words.removeFirst()
        guard let bytes = text == "-" ? [] : Hexadecimal.bytes(text) else { return nil }
        self.init(token: token, result: result, bytes: bytes)
    }
}

extension IOTrace.Facts {
    fileprivate var words: String {
        switch self {
        case .failed(let errno): return "failed \(errno)"
        case .known(let facts):
            let bits = [
                facts.isSeekable, facts.isDirect, facts.isAppending, facts.isReadable,
                facts.isWritable,
            ].map { $0 ? "1" : "0" }.joined()
            return "\(facts.kind.rawValue) \(bits) \(facts.size) \(facts.device) \(facts.inode) "
                + "\(facts.offsetAlignment) \(facts.memoryAlignment)"
        }
    }

    fileprivate init?(_ words: inout ArraySlice<Substring>) {
        if words.first == "failed", words.count == 2, let errno = words.last.flatMap({ Int32($0) })
        {
            self = .failed(errno: errno)
            return
        }
        guard words.count == 7,
            let kind = UInt8(words.removeFirst()).flatMap({ IODescriptorFacts.Kind(rawValue: $0) })
        else { return nil }
        let bits = words.removeFirst().map { $0 == "1" }
        guard bits.count == 5, let size = Int64(words.removeFirst()),
            let device = UInt64(words.removeFirst()), let inode = UInt64(words.removeFirst()),
            let offsets = Int(words.removeFirst()), let memory = Int(words.removeFirst())
        else { return nil }
        self = .known(
            IODescriptorFacts(
                kind: kind, isSeekable: bits[0], isDirect: bits[1], isAppending: bits[2],
                isReadable: bits[3], isWritable: bits[4], size: size, device: device, inode: inode,
                offsetAlignment: offsets, memoryAlignment: memory))
    }
}

enum Hexadecimal {
    private static let digits = Array("0123456789abcdef".utf8)

    static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(2 * bytes.count)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func bytes(_ text: Substring) -> [UInt8]? {
        let codes = Array(text.utf8)
        guard codes.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for i in stride(from: 0, to: codes.count, by: 2) {
            guard let high = digits.firstIndex(of: codes[i]),
                let low = digits.firstIndex(of: codes[i + 1])
            else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }
}
