import Foundation
import Testing

/// The README's example is a program that runs.
struct ReadmeTests {
    private static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let readme = root.appendingPathComponent("README.md")

    @Test(
        .enabled(
            if: FileManager.default.fileExists(atPath: readme.path), "there is no README.md yet"))
    func theFirstExampleIsQuickStart() throws {
        let text = try String(contentsOf: Self.readme, encoding: .utf8)
        let block = try #require(text.components(separatedBy: "```swift\n").dropFirst().first)
        let example = try #require(block.components(separatedBy: "```").first)
        let main = try String(
            contentsOf: Self.root.appendingPathComponent(
                "DocsSource/Examples/QuickStart/main.swift"), encoding: .utf8)
        // "import" may also stand in the comment above: the line must begin with it.
        let body =
            main.hasPrefix("import ")
            ? main : String(main[try #require(main.range(of: "\nimport ")).lowerBound...])
        #expect(trimmed(example) == trimmed(body))
    }

    @Test(.enabled(if: Machine.hasURing, "\(Machine.needsURing)"))
    func quickStartRuns() throws {
        let run = try Executable.run("QuickStart", in: try Directory())
        #expect(run.status == 0, "\(run.complaint)")
        #expect(run.output.contains("read 19 bytes back"))
    }

    private func trimmed(_ text: String) -> String {
        text.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
