internal import IOEngineCore
internal import SystemPackage

/// Why there is no copy: one sentence for the person at the terminal, with the remedy. Whatever it
/// says, nothing half-done has the destination's name.
public struct CopyError: Error, Equatable, CustomStringConvertible {
    public let sentence: String
    /// Nothing failed: ``CopyInterruption/interrupt()`` was called.
    public let isInterruption: Bool

    public init(_ sentence: String) {
        self.sentence = sentence
        isInterruption = false
    }

    private init(interruption sentence: String) {
        self.sentence = sentence
        isInterruption = true
    }

    static var interrupted: CopyError {
        CopyError(
            interruption: "Interrupted before the copy was complete; the destination is as it was.")
    }

    public var description: String { sentence }
}

extension CopyError {
    /// A system call that failed. The advice is the engine's, unless one fits better.
    ///
    /// - Parameter what: The beginning of the sentence: "/tmp/file cannot be read".
    init(_ what: String, _ errno: Errno, advice: String? = nil) {
        let advice = advice ?? IOError(operation: .open, errno: errno).advice
        self.init("\(what): \(advice)\(Self.inWords(errno, unlessIn: advice)).")
    }

    /// An IO that failed.
    init(_ what: String, _ error: IOError) {
        var what = what
        if case .event(let action) = error.operation, action.isTransfer {
            what += " at offset \(error.offset + Int64(error.transferred))"
        }
        self.init(what, error.errno, advice: error.advice)
    }

    private static func inWords(_ errno: Errno, unlessIn advice: String) -> String {
        let words = errno.description
        return advice.contains(words) ? "" : " (\(words))"
    }
}

extension CopyError {
    /// Runs a system call whose failure begins with `what`.
    static func wrap<R>(_ what: String, _ body: () throws(Errno) -> R) throws(CopyError) -> R {
        do throws(Errno) {
            return try body()
        } catch {
            throw CopyError(what, error)
        }
    }

    /// The same for what the engine answers.
    static func wrapEngine<R: ~Copyable>(
        _ what: String, _ body: () throws(IOError) -> R
    ) throws(CopyError) -> R {
        do throws(IOError) {
            return try body()
        } catch {
            throw CopyError(what, error)
        }
    }
}
