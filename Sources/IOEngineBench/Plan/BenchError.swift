public import IOEngineCore

/// Why a benchmark cannot be run: one sentence for the person at the terminal, with the remedy.
public struct BenchError: Error, Equatable, CustomStringConvertible {
    public let sentence: String

    /// Nil: it is not that a driver could not be set up.
    public let setUpError: IOError?

    public init(_ sentence: String) {
        self.sentence = sentence
        setUpError = nil
    }

    public init(_ error: IOError) {
        sentence = error.description
        setUpError = error.operation == .setUp ? error : nil
    }

    public var description: String { sentence }
}
