import Foundation
import TestSupport
import Testing

/// What `ioengine doctor --output-format json` said.
struct Diagnosis {
    let status: Int32
    let fields: [String: Any]

    /// Runs it.
    ///
    /// - Parameters:
    ///   - arguments: Of `doctor`.
    ///   - before: A program that runs it, and that program's arguments.
    init(_ arguments: [String] = [], before: [String] = []) throws {
        let command =
            before + [Command.program("ioengine"), "doctor", "--output-format", "json"] + arguments
        let end = Command.run(command)
        status = end.status
        let object = try JSONSerialization.jsonObject(with: Data(end.output.utf8))
        fields = try #require(object as? [String: Any], "\(end)")
    }

    var chosen: String? { fields["chosen"] as? String }

    func object(_ name: String) -> [String: Any]? { fields[name] as? [String: Any] }

    func driver(_ name: String) throws -> [String: Any] {
        let drivers = try #require(fields["drivers"] as? [[String: Any]])
        return try #require(drivers.first { $0["driver"] as? String == name })
    }

    /// What it says about a subject, each with the level before it.
    func findings(_ subject: String) throws -> [String] {
        let findings = try #require(fields["findings"] as? [[String: String]])
        return findings.filter { $0["subject"] == subject }
            .map { "\($0["level"] ?? "?"): \($0["text"] ?? "?")" }
    }
}
