/// What becomes of everything that was not safe when a disk crashed.
///
/// Drawn from a seed (``SimulatedCrash/drawFate(seed:)``) or put together by hand. As text it is short
/// and can be read back: `+` reached, `-` lost, `~` with a number: torn, and the same for growths behind
/// a slash.
public struct CrashFate: Hashable, Sendable, LosslessStringConvertible {
    public enum Write: Hashable, Sendable {
        /// All its sectors are on the disk.
        case reached
        /// None is.
        case lost
        /// Some are; which, comes from the seed.
        case torn(seed: UInt64)
    }

    public enum Growth: Hashable, Sendable {
        /// The file has its largest size.
        case whole
        /// The file has its safe size.
        case lost
        /// Between; where, comes from the seed.
        case partly(seed: UInt64)
    }

    /// One for each of ``SimulatedCrash/writes``.
    public var writes: [Write]
    /// One for each of ``SimulatedCrash/growths``.
    public var growths: [Growth]

    public init(writes: [Write], growths: [Growth]) {
        self.writes = writes
        self.growths = growths
    }

    public var description: String {
        let writes = writes.map { write in
            switch write {
            case .reached: "+"
            case .lost: "-"
            case .torn(let seed): "~\(seed)."
            }
        }
        let growths = growths.map { growth in
            switch growth {
            case .whole: "+"
            case .lost: "-"
            case .partly(let seed): "~\(seed)."
            }
        }
        return writes.joined() + "/" + growths.joined()
    }

    public init?(_ description: String) {
        let halves = description.split(separator: "/", omittingEmptySubsequences: false)
        guard halves.count == 2, let writes = Self.parse(halves[0]),
            let growths = Self.parse(halves[1])
        else { return nil }
        self.writes = writes.map {
            $0.seed.map { .torn(seed: $0) } ?? ($0.isKept ? .reached : .lost)
        }
        self.growths = growths.map {
            $0.seed.map { .partly(seed: $0) } ?? ($0.isKept ? .whole : .lost)
        }
    }

    private static func parse(_ text: Substring) -> [(isKept: Bool, seed: UInt64?)]? {
        var all: [(isKept: Bool, seed: UInt64?)] = []
        var rest = text
        while let first = rest.popFirst() {
            switch first {
            case "+": all.append((true, nil))
            case "-": all.append((false, nil))
            case "~":
                guard let end = rest.firstIndex(of: "."), let seed = UInt64(rest[..<end]) else {
                    return nil
                }
                all.append((false, seed))
                rest = rest[rest.index(after: end)...]
            default: return nil
            }
        }
        return all
    }
}
