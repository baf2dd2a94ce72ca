public import IOEngineCore

/// Why a benchmark cannot be run: one sentence for the person at the terminal, with the remedy.
public struct BenchError: Error, Equatable, CustomStringConvertible {
    public let sentence: String

    public init(_ sentence: String) { self.sentence = sentence }

    public init(_ error: IOError) { sentence = error.description }

    public var description: String { sentence }
}
