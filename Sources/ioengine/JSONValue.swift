internal import FoundationEssentials

/// A value for scripts, for reports whose fields are named where they are printed. What is unknown is null,
/// not absent.
enum JSONValue: Encodable, ExpressibleByStringLiteral {
    case null
    case flag(Bool)
    case number(Int64)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])

    init(stringLiteral value: String) { self = .text(value) }
    init(_ value: Bool?) { self = value.map { .flag($0) } ?? .null }
    init(_ value: String?) { self = value.map { .text($0) } ?? .null }
    init(_ value: (some BinaryInteger)?) {
        self = value.map { .number(Int64(clamping: $0)) } ?? .null
    }
    init(_ values: [String]) { self = .list(values.map { .text($0) }) }

    func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        switch self {
        case .null: try value.encodeNil()
        case .flag(let flag): try value.encode(flag)
        case .number(let number): try value.encode(number)
        case .text(let text): try value.encode(text)
        case .list(let list): try value.encode(list)
        case .object(let object): try value.encode(object)
        }
    }
}
